#include "guest/linux/attribution_engine.h"

#include <algorithm>
#include <iterator>
#include <set>

namespace outguard::guest {
namespace {

constexpr auto kTcp = static_cast<std::uint8_t>(IpProtocol::Tcp);
constexpr std::size_t kMostProcesses = 32; ///< in one answer; more share a socket only in jest
/// To check and describe what was found, whatever the walk before has used up. 32 processes with
/// long paths need some 10,000 reads.
constexpr WalkBudget kAnswerBudget(50'000, std::uint64_t{16} << 20);
constexpr int kMostRefreshes = 2; ///< for one answer, where what was found keeps changing
constexpr int kMostLookups = 2;   ///< likewise
constexpr std::size_t kMostRemembered = 4096; ///< flows looked up: some 4 MiB

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

/// An IPv6 socket, for a flow of IPv4, of which nobody knows whether it serves that.
bool may_be_of_another_family(const SocketRow &row, const FlowTuple &flow) {
  return flow.local.address.family == IpFamily::V4 && row.sock.family == IpFamily::V6 &&
         row.sock.local.address.is_unspecified() && !row.sock.ipv6_only;
}

bool is_held(const SocketRow *row) {
  return row->holder_count != 0;
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
    if (result.sock == 0 || (leaders.empty() && is_held(row))) {
      result.sock = row->sock.address.raw();
    }
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
  // An answer that leaves out an owner does not say which of them it was.
  result.ambiguous = namespaces.size() > 1 || tasks.size() > kMostProcesses;
  tasks.resize(std::min(tasks.size(), kMostProcesses));
  for (const Task &task : tasks) {
    result.processes.push_back(processes_.describe_or_remember(task, reader));
  }
  if (!tasks.empty()) {
    auto [ancestors, cut] = processes_.lineage(tasks.front(), reader);
    result.ancestors = std::move(ancestors);
    result.ancestors_cut = cut;
  }
  return result;
}

AttributionEngine::Rows AttributionEngine::bound_to(const FlowTuple &flow,
                                                    const SocketTable &table) {
  Rows exact, wildcard;
  const bool is_v4 = flow.local.address.family == IpFamily::V4;
  for (const SocketRow &row : table.rows) {
    const Sock &sock = row.sock;
    const bool has_ports = !sock.raw;
    if (sock.protocol != flow.protocol || row.is_unbound() ||
        (has_ports && sock.local.port != flow.local.port) ||
        (sock.protocol == kTcp && !sock.raw && sock.state != SocketState::Listen)) {
      continue;
    }
    if (is_connected(row) && (has_ports || sock.remote.address.unmapped() != flow.remote.address)) {
      continue;
    }
    if (sock.local.address.unmapped() == flow.local.address) {
      exact.push_back(&row);
    } else if (is_v4 ? sock.local.address.unmapped().is_unspecified() &&
                           !(sock.ipv6_only && *sock.ipv6_only)
                     : sock.family == IpFamily::V6 && sock.local.address.is_unspecified()) {
      wildcard.push_back(&row);
    }
  }
  if (exact.empty()) {
    return wildcard;
  }
  if (flow.protocol != kTcp) {
    std::set<GuestVirtual> namespaces;
    for (const SocketRow *row : exact) {
      namespaces.insert(row->sock.net);
    }
    std::ranges::copy_if(wildcard, std::back_inserter(exact),
                         [&](const SocketRow *row) { return namespaces.contains(row->sock.net); });
  }
  return exact;
}

bool AttributionEngine::have_same_owners(const Rows &rows, const SocketTable &table) {
  const auto owners = [&table](const SocketRow *row) {
    std::set<GuestVirtual> leaders;
    for (const Holder &holder : table.holders_of(*row)) {
      leaders.insert(table.leaders[holder.leader].address);
    }
    return std::pair(row->sock.net, std::move(leaders));
  };
  return std::ranges::all_of(rows, [&, first = owners(rows.front())](const SocketRow *row) {
    return owners(row) == first;
  });
}

Attribution AttributionEngine::aged_answer(const Indexed &from, const Rows &rows,
                                           KernelReader &reader) const {
  Attribution result = answer(AttributionStatus::Cached, from, rows, reader);
  const auto age = wall_now() - from.table.read_at;
  result.age_ns = static_cast<std::uint64_t>(std::max<std::int64_t>(age.count(), 0));
  return result;
}

void AttributionEngine::remember(const FlowTuple &flow, Indexed found) {
  found.build(); // the index must point into the table where it will stay
  const auto [place, is_new] = looked_up_.insert_or_assign(flow, std::move(found));
  if (is_new) {
    in_order_.push_back(flow);
  }
  if (in_order_.size() > kMostRemembered) {
    looked_up_.erase(in_order_.front());
    in_order_.pop_front();
  }
}

AttributionEngine::Match AttributionEngine::match(const FlowTuple &flow, const Indexed &in) {
  Match result{AttributionStatus::Exact, in.find(flow)};
  if (std::ranges::any_of(result.rows, is_held)) {
    return result;
  }
  if (result.rows.empty() ||
      std::ranges::any_of(result.rows, [](const auto *row) { return awaits_accept(*row); })) {
    Rows bound = bound_to(flow, in.table);
    if (std::ranges::any_of(bound, is_held)) {
      const bool is_sender = flow.protocol != kTcp && have_same_owners(bound, in.table) &&
                             std::ranges::none_of(bound, [&](const SocketRow *row) {
                               return may_be_of_another_family(*row, flow);
                             });
      return {is_sender ? AttributionStatus::Exact : AttributionStatus::Listener, std::move(bound)};
    }
  }
  result.status = AttributionStatus::NotFound;
  return result;
}

bool AttributionEngine::is_unchanged(const Rows &rows, const Indexed &from,
                                     KernelReader &reader) const {
  return std::ranges::all_of(rows, [&](const SocketRow *row) {
    return !is_held(row) || sockets_.is_unchanged(from.table, *row, reader);
  });
}

Attribution AttributionEngine::without_owner(const FlowTuple &flow, WallTime began,
                                             const Rows &rows, KernelReader &reader) const {
  const auto looked_up = looked_up_.find(flow);
  for (const Indexed *earlier :
       {looked_up == looked_up_.end() ? nullptr : &looked_up->second, &previous_}) {
    const bool is_of_flow = earlier != nullptr && earlier->table.read_at >= began;
    const Rows before = is_of_flow ? earlier->find(flow) : Rows{};
    if (std::ranges::any_of(before, is_held)) {
      return aged_answer(*earlier, before, reader);
    }
  }
  const bool all_is_known = last_.table.completeness.reason <= PartialReason::RepeatsLeftOut;
  const auto status = !all_is_known  ? AttributionStatus::Unavailable
                      : rows.empty() ? AttributionStatus::NotFound
                                     : AttributionStatus::OwnerGone;
  return answer(status, last_, rows, reader);
}

std::optional<Attribution> AttributionEngine::from_last_table(const FlowTuple &flow, WallTime began,
                                                              bool may_retry,
                                                              KernelReader &reader) const {
  const Match found = match(flow, last_);
  if (found.status == AttributionStatus::NotFound) {
    return without_owner(flow, began, found.rows, reader);
  }
  const bool still_so = is_unchanged(found.rows, last_, reader);
  if (!still_so && may_retry) {
    return std::nullopt;
  }
  if (!still_so || !last_.table.owners_are_known()) {
    return aged_answer(last_, found.rows, reader);
  }
  return answer(found.status, last_, found.rows, reader);
}

std::optional<Attribution> AttributionEngine::from_lookup(const FlowTuple &flow, Reach reach,
                                                          KernelReader &reader) {
  if (learned_ != last_.table.read_at) {
    learned_ = last_.table.read_at;
    lookup_.learn(last_.table, reader);
  }
  for (int attempt = 0; attempt < kMostLookups; ++attempt) {
    KernelReader look(reader.space(), kAnswerBudget);
    auto table = lookup_.read(flow, reach, look);
    if (!table || !table->owners_are_known()) {
      return std::nullopt;
    }
    Indexed found{std::move(*table), {}};
    found.build();
    const Match matched = match(flow, found);
    if (matched.status == AttributionStatus::NotFound) {
      return std::nullopt; // that nobody has it, only a whole table may say
    }
    KernelReader check(reader.space(), kAnswerBudget); // of a later moment than the look
    if (is_unchanged(matched.rows, found, check)) {
      auto result = answer(matched.status, found, matched.rows, check);
      if (matched.status == AttributionStatus::Exact) {
        remember(flow, std::move(found));
      }
      return result;
    }
  }
  return std::nullopt;
}

void AttributionEngine::forget_ages() {
  last_.table.read_at = {};
  previous_ = {};
  looked_up_.clear();
  in_order_.clear();
}

std::optional<Attribution> AttributionEngine::without_a_new_table(const FlowTuple &flow,
                                                                  WallTime packet_time,
                                                                  WallTime began, Reach reach,
                                                                  KernelReader &reader) {
  const WallTime wall = wall_now();
  if (wall_clock_.was_set(wall, monotonic_now())) {
    forget_ages();
  }
  if (last_.table.read_at < packet_time || last_.table.read_at == WallTime{}) {
    return from_lookup(flow, reach, reader);
  }
  KernelReader check(reader.space(), kAnswerBudget);
  return from_last_table(flow, began, true, check);
}

std::optional<Attribution> AttributionEngine::attribute_at_once(const FlowTuple &tuple,
                                                                WallTime packet_time,
                                                                WallTime began,
                                                                KernelReader &reader) {
  return without_a_new_table(normal(tuple), packet_time, began, Reach::Likely, reader);
}

Attribution AttributionEngine::attribute(const FlowTuple &tuple, WallTime packet_time,
                                         WallTime began, KernelReader &reader) {
  const FlowTuple flow = normal(tuple);
  auto found = without_a_new_table(flow, packet_time, began, Reach::Everybody, reader);
  for (int refreshes = 1; !found; ++refreshes) {
    refresh(reader);
    KernelReader check(reader.space(), kAnswerBudget);
    found = from_last_table(flow, began, refreshes < kMostRefreshes, check);
  }
  return std::move(*found);
}

} // namespace outguard::guest
