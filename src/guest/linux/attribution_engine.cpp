#include "guest/linux/attribution_engine.h"

#include <algorithm>
#include <set>

namespace outguard::guest {
namespace {

constexpr auto kTcp = static_cast<std::uint8_t>(IpProtocol::Tcp);
constexpr std::size_t kMostProcesses = 32; ///< in one answer; more share a socket only in jest

FlowTuple normal(FlowTuple flow) {
  flow.local.address = flow.local.address.unmapped();
  flow.remote.address = flow.remote.address.unmapped();
  return flow;
}

FlowTuple flow_of(const SocketRow &row) {
  return normal({row.sock.protocol, row.sock.local, row.sock.remote});
}

/// A sock that no process ever held: its listener will be given it.
bool awaits_accept(const SocketRow &row) {
  return row.sock.protocol == kTcp &&
         (row.sock.state == SocketState::SynRecv || row.sock.state == SocketState::Established ||
          row.sock.state == SocketState::CloseWait);
}

bool is_connected(const SocketRow &row) {
  return !row.sock.remote.address.is_unspecified();
}

} // namespace

void AttributionEngine::Indexed::build() {
  by_flow.clear();
  for (std::uint32_t index = 0; index < table.rows.size(); ++index) {
    if (is_connected(table.rows[index])) {
      by_flow.emplace_back(flow_of(table.rows[index]), index);
    }
  }
  std::ranges::sort(by_flow);
}

AttributionEngine::Rows AttributionEngine::Indexed::find(const FlowTuple &flow) const {
  Rows rows;
  for (auto at = std::ranges::lower_bound(by_flow, flow, {},
                                          [](const auto &entry) { return entry.first; });
       at != by_flow.end() && at->first == flow; ++at) {
    rows.push_back(&table.rows[at->second]);
  }
  return rows;
}

const SocketTable &AttributionEngine::refresh(KernelReader &reader) {
  previous_ = std::move(last_);
  last_.table = sockets_.walk(reader);
  last_.build();
  return last_.table;
}

Attribution AttributionEngine::answer(AttributionStatus status, const Indexed &from,
                                      const Rows &rows, KernelReader &reader) const {
  Attribution result;
  result.status = status;
  std::set<std::uint32_t> leaders; // the kernel's list is oldest first, not lowest pid first
  std::set<GuestVirtual> namespaces;
  for (const SocketRow *row : rows) {
    result.sock = result.sock == 0 ? row->sock.address.raw() : result.sock;
    namespaces.insert(row->sock.net);
    for (const Holder &holder : from.table.holders_of(*row)) {
      leaders.insert(holder.leader);
    }
  }
  std::vector<Task> tasks;
  tasks.reserve(leaders.size());
  for (const std::uint32_t leader : leaders) {
    tasks.push_back(from.table.leaders[leader]);
  }
  std::ranges::sort(tasks, {}, &Task::tgid);
  tasks.resize(std::min(tasks.size(), kMostProcesses));
  for (const Task &task : tasks) {
    result.processes.push_back(processes_.describe_or_remember(task, reader));
  }
  result.ambiguous = namespaces.size() > 1;
  if (!tasks.empty()) {
    result.ancestors = processes_.ancestors(tasks.front(), reader);
  }
  return result;
}

std::optional<Attribution> AttributionEngine::from_last_table(const FlowTuple &flow,
                                                              KernelReader &reader) const {
  const Rows rows = last_.find(flow);
  const bool all_hold = !rows.empty() && std::ranges::all_of(rows, [&](const SocketRow *row) {
    return row->holder_count != 0 && sockets_.is_unchanged(last_.table, *row, reader);
  });
  if (!all_hold) {
    return std::nullopt;
  }
  return answer(AttributionStatus::Exact, last_, rows, reader);
}

AttributionEngine::Rows AttributionEngine::bound_to(const FlowTuple &flow) const {
  Rows exact, wildcard;
  const bool is_v4 = flow.local.address.family == IpFamily::V4;
  for (const SocketRow &row : last_.table.rows) {
    const Sock &sock = row.sock;
    const bool has_ports = !sock.raw;
    if (sock.protocol != flow.protocol || row.holder_count == 0 || row.is_unbound() ||
        (has_ports && sock.local.port != flow.local.port) ||
        (sock.protocol == kTcp && !sock.raw && sock.state != SocketState::Listen)) {
      continue;
    }
    if (is_connected(row) && (has_ports || sock.remote.address.unmapped() != flow.remote.address)) {
      continue;
    }
    if (sock.local.address.unmapped() == flow.local.address) {
      exact.push_back(&row);
    } else if (sock.local.address.is_unspecified() &&
               (is_v4 ? sock.family == IpFamily::V4 || !sock.ipv6_only
                      : sock.family == IpFamily::V6)) {
      wildcard.push_back(&row);
    }
  }
  return exact.empty() ? wildcard : exact;
}

Attribution AttributionEngine::without_owner(const FlowTuple &flow, AttributionStatus status,
                                             const Rows &rows, KernelReader &reader) const {
  Rows held;
  for (const SocketRow *row : previous_.find(flow)) {
    if (row->holder_count != 0) {
      held.push_back(row);
    }
  }
  if (!held.empty()) {
    Attribution result = answer(AttributionStatus::Cached, previous_, held, reader);
    const auto age = wall_now() - previous_.table.read_at;
    result.age_ns = static_cast<std::uint64_t>(std::max<std::int64_t>(age.count(), 0));
    return result;
  }
  return answer(status, last_, rows, reader);
}

Attribution AttributionEngine::from_fresh_table(const FlowTuple &flow, KernelReader &reader) const {
  const Rows rows = last_.find(flow);
  Rows held;
  std::ranges::copy_if(rows, std::back_inserter(held),
                       [](const SocketRow *row) { return row->holder_count != 0; });
  if (!held.empty()) {
    return answer(AttributionStatus::Exact, last_, held, reader);
  }
  if (rows.empty() ||
      std::ranges::any_of(rows, [](const auto *row) { return awaits_accept(*row); })) {
    const Rows bound = bound_to(flow);
    const bool is_sender = flow.protocol != kTcp && bound.size() == 1;
    if (!bound.empty()) {
      return answer(is_sender ? AttributionStatus::Exact : AttributionStatus::Listener, last_,
                    bound, reader);
    }
  }
  if (!rows.empty()) {
    return without_owner(flow, AttributionStatus::OwnerGone, rows, reader);
  }
  return without_owner(flow,
                       last_.table.completeness.complete() ? AttributionStatus::NotFound
                                                           : AttributionStatus::Unavailable,
                       rows, reader);
}

Attribution AttributionEngine::attribute(const FlowTuple &tuple, WallTime packet_time,
                                         KernelReader &reader) {
  const FlowTuple flow = normal(tuple);
  if (auto found = from_last_table(flow, reader)) {
    return std::move(*found);
  }
  if (last_.table.read_at < packet_time || last_.table.read_at == WallTime{}) {
    refresh(reader);
  }
  return from_fresh_table(flow, reader);
}

} // namespace outguard::guest
