#include "store/json_lines.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "base/clock.h"
#include "store/json_value.h"
#include "store/match_json.h"
#include "store/process_detail_json.h"
#include "store/socket_words.h"

namespace outguard::store {

namespace {

Json utc(std::int64_t nanoseconds) {
  return rfc3339_timestamp(WallTime(std::chrono::nanoseconds(nanoseconds)));
}

std::uint64_t microseconds(std::uint64_t nanoseconds) {
  return nanoseconds / 1000;
}

Json arguments(const std::optional<std::vector<GuestText>> &cmdline) {
  if (!cmdline) {
    return {};
  }
  auto list = Json::array();
  for (const auto &argument : *cmdline) {
    list.push_back(text(argument));
  }
  return list;
}

Json signature(const Finding &finding, std::span<const ResponseDone> responses) {
  Json context{
      {"indicator", indicator_json(finding.match)},
      {"rule", text(finding.rule)},
      {"mode", to_string(finding.mode)},
      {"match_latency_us", microseconds(finding.match.match_latency_ns)},
  };
  if (finding.match.knocks) {
    context["knocks"] = knocks_json(*finding.match.knocks);
  }
  return {{"action", took_effect(responses) ? "blocked" : "allowed"},
          {"gid", 1},
          {"signature_id", finding.signature_id},
          {"rev", 1},
          {"signature", text(finding.signature)},
          {"category", text(finding.category)},
          {"severity", static_cast<int>(finding.severity)},
          {"context", context}};
}

Json real_uid(const ProcessSeen &seen) {
  return seen.credentials ? Json(seen.credentials->uid) : Json();
}

Json ids(std::uint32_t real, std::uint32_t effective, std::uint32_t saved, std::uint32_t fs) {
  return {{"real", real}, {"effective", effective}, {"saved", saved}, {"fs", fs}};
}

/// As /proc/PID/status prints it: a JSON number has not the bits.
Json capability_set(std::uint64_t bits) {
  return fmt::format("{:016x}", bits);
}

void add_credentials(Json &row, const std::optional<Credentials> &seen) {
  if (!seen) {
    for (const char *unknown : {"uids", "gids", "capabilities"}) {
      row[unknown] = Json();
    }
    return;
  }
  row["uids"] = ids(seen->uid, seen->euid, seen->suid, seen->fsuid);
  row["gids"] = ids(seen->gid, seen->egid, seen->sgid, seen->fsgid);
  row["capabilities"] = {{"inheritable", capability_set(seen->inheritable)},
                         {"permitted", capability_set(seen->permitted)},
                         {"effective", capability_set(seen->effective)},
                         {"bounding", capability_set(seen->bounding)},
                         {"ambient", capability_set(seen->ambient)}};
}

Json namespaces(const NamespacesSeen &seen) {
  return {{"mnt", or_null(seen.mnt)},       {"pid", or_null(seen.pid)},
          {"net", or_null(seen.net)},       {"ipc", or_null(seen.ipc)},
          {"uts", or_null(seen.uts)},       {"user", or_null(seen.user)},
          {"cgroup", or_null(seen.cgroup)}, {"time", or_null(seen.time)}};
}

Json process(const ProcessSeen &seen) {
  return {{"pid", seen.identity.pid},
          {"ppid", or_null(seen.ppid)},
          {"comm", text(seen.comm)},
          {"exe", or_null(seen.exe)},
          {"exe_deleted", or_null(seen.exe_deleted)},
          {"earlier_exe", or_null(seen.earlier_exe)},
          {"cmdline", arguments(seen.cmdline)},
          {"uid", real_uid(seen)},
          {"start_time", seen.start_time_ns ? utc(*seen.start_time_ns) : Json()},
          {"sha256", Json()},
          {"sha256_status", Json()},
          {"container", or_null(seen.container)},
          {"unit", or_null(seen.unit)}};
}

Json ancestors(const std::vector<Ancestor> &line_up) {
  auto list = Json::array();
  for (const auto &ancestor : line_up) {
    list.push_back({{"pid", ancestor.pid}, {"comm", text(ancestor.comm)}});
  }
  return list;
}

void add_processes(Json &alert, const Attribution &attribution) {
  if (attribution.processes.empty()) {
    alert["process"] = Json();
    return;
  }
  alert["process"] = process(attribution.processes.front());
  alert["process"]["ancestors"] = ancestors(attribution.ancestors);
  alert["process"]["ancestors_cut"] = attribution.ancestors_cut;
  if (attribution.processes.size() > 1) {
    auto all = Json::array();
    for (const auto &holder : attribution.processes) {
      all.push_back(process(holder));
    }
    alert["processes"] = std::move(all);
  }
}

Json response_list(std::span<const ResponseDone> responses) {
  auto list = Json::array();
  for (const auto &done : responses) {
    Json entry = {{"action", to_string(done.action)},
                  {"status", to_string(done.status)},
                  {"reason", text_or_null(done.reason)},
                  {"latency_us", done.latency_us},
                  {"action_id", text_or_null(done.action_id)}};
    if (done.stopped_us) {
      entry["stopped_us"] = *done.stopped_us;
      entry["paused_us"] = or_null(done.paused_us);
    }
    list.push_back(std::move(entry));
  }
  return list;
}

Json socket_owners(std::span<const SocketOwner> owners) {
  auto list = Json::array();
  for (const auto &owner : owners) {
    list.push_back({{"pid", owner.process.pid},
                    {"fd", owner.fd < 0 ? Json() : Json(owner.fd)},
                    {"comm", text(owner.comm)},
                    {"hold", to_string(owner.hold)}});
  }
  return list;
}

std::string socket_protocol(const SocketSeen &socket) {
  return socket.raw ? "raw" : protocol_name(socket.protocol);
}

} // namespace

bool took_effect(std::span<const ResponseDone> responses) {
  return std::any_of(responses.begin(), responses.end(), [](const ResponseDone &done) {
    switch (done.status) {
    case ResponseStatus::Blocked:
    case ResponseStatus::Killed:
    case ResponseStatus::Suspended:
      return true;
    default: // an isolation; other things that are done harm nobody
      return done.status == ResponseStatus::Done && done.action == ResponseAction::Isolate;
    }
  });
}

std::string eve_alert(const Finding &finding, std::span<const ResponseDone> responses) {
  const auto &match = finding.match;
  const auto seen_ns = std::max(match.flow.first_packet_ns, match.flow.last_packet_ns);
  Json alert;
  alert["timestamp"] = eve_timestamp(WallTime(std::chrono::nanoseconds(seen_ns)));
  add_flow(alert, match.flow, "alert");
  alert["flow"] = counts_json(match.flow);
  alert["alert"] = signature(finding, responses);
  if (match.policy) {
    alert["policy"] = policy_json(*match.policy);
  }
  if (match.beacon) {
    alert["beacon"] = beacon_json(*match.beacon);
  }
  alert["vm"] = vm_json(finding.vm);
  add_processes(alert, match.attribution);
  if (finding.executable && !match.attribution.processes.empty()) {
    const FileHash &hash = *finding.executable;
    alert["process"]["sha256"] =
        hash.status == FileHash::Status::Complete ? Json(hex(hash.sha256)) : Json();
    alert["process"]["sha256_status"] = to_string(hash.status);
  }
  alert["attribution"] = {{"status", to_string(match.attribution.status)},
                          {"latency_us", microseconds(match.attribution.latency_ns)},
                          {"age_us", microseconds(match.attribution.age_ns)},
                          {"ambiguous", match.attribution.ambiguous},
                          {"of_carrier", match.attribution.of_carrier}};
  alert["response"] = response_list(responses);
  return line(alert);
}

/// Every view that was asked, and whether it has the process; null when nobody compared.
static Json views(const ProcessSeen &seen) {
  if (seen.views_asked.empty()) {
    return nullptr;
  }
  auto object = Json::object();
  for (std::size_t index = 0; index < kProcessViews; ++index) {
    const auto view = static_cast<ProcessView>(index);
    if (seen.views_asked.has(view)) {
      object[to_string(view)] = seen.views_seen.has(view);
    }
  }
  return object;
}

std::string process_json(const GuestText &vm_name, const ProcessSeen &seen) {
  Json row = {{"vm", text(vm_name)},
              {"pid", seen.identity.pid},
              {"ppid", or_null(seen.ppid)},
              {"comm", text(seen.comm)},
              {"exe", or_null(seen.exe)},
              {"cmdline", arguments(seen.cmdline)},
              {"uid", real_uid(seen)},
              {"start_time", seen.start_time_ns ? utc(*seen.start_time_ns) : Json()},
              {"netns", or_null(seen.namespaces.net)},
              {"container", or_null(seen.container)},
              {"kernel_thread", seen.kernel_thread},
              {"exe_deleted", or_null(seen.exe_deleted)},
              {"hidden", or_null(seen.hidden)},
              {"state", text(std::string(1, seen.state))},
              {"torn", seen.torn},
              {"namespace_pid", or_null(seen.namespace_pid)},
              {"thread_count", or_null(seen.threads)},
              {"unit", or_null(seen.unit)},
              {"cgroup", or_null(seen.cgroup)},
              {"namespaces", namespaces(seen.namespaces)},
              {"cmdline_cut", seen.cmdline_cut},
              {"views", views(seen)}};
  add_credentials(row, seen.credentials);
  return line(row);
}

std::string attribution_json(const GuestText &vm_name, const Attribution &attribution) {
  Json answer = {{"vm", text(vm_name)},
                 {"status", to_string(attribution.status)},
                 {"latency_us", attribution.latency_ns / 1000},
                 {"age_us", attribution.age_ns / 1000},
                 {"ambiguous", attribution.ambiguous}};
  add_processes(answer, attribution);
  return line(answer);
}

std::string socket_json(const GuestText &vm_name, const SocketSeen &socket) {
  return line({{"vm", text(vm_name)},
               {"family", socket.family == IpFamily::V4 ? "inet" : "inet6"},
               {"proto", socket_protocol(socket)},
               {"state", to_string(socket.state)},
               {"local_ip", socket.local.address.to_string()},
               {"local_port", socket.local.port},
               {"remote_ip", socket.remote.address.to_string()},
               {"remote_port", socket.remote.port},
               {"inode", socket.inode},
               {"netns", or_null(socket.netns)},
               {"owners", socket_owners(socket.owners)},
               {"owner_status", to_string(socket.owner_status)},
               {"uid", or_null(socket.uid)},
               {"hidden", socket.hidden}});
}

std::string other_socket_json(const GuestText &vm_name, const OtherSocketSeen &socket) {
  return line({{"vm", text(vm_name)},
               {"family", family_name(socket.family)},
               {"type", type_name(socket.type)},
               {"proto", protocol_of(socket)},
               {"state", to_string(socket.state)},
               {"local", text_or_null(socket.local)},
               {"remote", text_or_null(socket.remote)},
               {"groups", or_null(socket.groups)},
               {"inode", socket.inode},
               {"netns", or_null(socket.netns)},
               {"owners", socket_owners(socket.owners)},
               {"owner_status", to_string(socket.owner_status)},
               {"uid", or_null(socket.uid)}});
}

} // namespace outguard::store
