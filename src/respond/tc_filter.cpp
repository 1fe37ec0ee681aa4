#include "respond/tc_filter.h"

#include <algorithm>
#include <ctime>
#include <mutex>

#include <bpf/libbpf.h>
#include <fcntl.h>

#include "respond/tap_keys.h"

namespace outguard::respond {

namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint32_t kGenerations = 1U << 24;

/// A VM's response thread and what is done by hand each have a filter of the same tap, and settings
/// are read, changed and written.
std::mutex one_change_at_a_time;

/// What the filter in the kernel calls now.
std::uint64_t boot_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * kSecond + static_cast<std::uint64_t>(now.tv_nsec);
}

/// Rounded up; nullopt: over, or never began.
std::optional<std::chrono::seconds> left_of(std::uint64_t until, std::uint64_t now) {
  if (until <= now) {
    return std::nullopt;
  }
  return std::chrono::ceil<std::chrono::seconds>(
      std::chrono::nanoseconds(static_cast<std::int64_t>(until - now)));
}

std::uint32_t kind_of(const NetworkRule &rule) {
  constexpr std::array<std::uint32_t, 4> kKinds{tap::kHasFlows, tap::kHasRemotes, tap::kHasPorts,
                                                tap::kHasIsolation};
  return kKinds.at(rule.index());
}

std::size_t slot_of(const PortRule &rule) {
  return static_cast<std::size_t>(rule.direction);
}
static_assert(static_cast<int>(RuleDirection::Inbound) == 0 &&
              static_cast<int>(RuleDirection::Outbound) == 1 &&
              static_cast<int>(RuleDirection::Both) == 2);

} // namespace

Result<std::unique_ptr<TapFilter>> TcFilter::open(const Fd &netns, const std::string &tap,
                                                  TapHook hook, const std::string &bpffs) {
  Fd own(::fcntl(netns.get(), F_DUPFD_CLOEXEC, 0));
  if (!own) {
    return fail_errno("keep a network namespace");
  }
  std::unique_ptr<TcFilter> made(new TcFilter(std::move(own), tap, hook, bpffs));
  const std::lock_guard lock(one_change_at_a_time);
  if (auto attached = made->ensure_attached(); !attached) {
    return tl::unexpected(attached.error());
  }
  return made;
}

Result<std::unique_ptr<TapFilter>> TcFilter::find(const Fd &netns, const std::string &tap,
                                                  const std::string &bpffs) {
  auto program = TapProgram::find(netns, tap, bpffs);
  if (!program) {
    return tl::unexpected(program.error());
  }
  Fd own(::fcntl(netns.get(), F_DUPFD_CLOEXEC, 0));
  if (!*program || !own) {
    return own ? Result<std::unique_ptr<TapFilter>>(nullptr) : fail_errno("keep a namespace");
  }
  std::unique_ptr<TcFilter> made(new TcFilter(std::move(own), tap, TapHook::Newest, bpffs));
  made->program_ = std::move(**program);
  return made;
}

Result<void> TcFilter::ensure_attached() {
  const auto there = is_attached();
  if (!there || *there) {
    return there.map([](bool) {});
  }
  program_.reset();
  auto attached = TapProgram::attach(netns_, tap_, hook_, bpffs_);
  if (!attached) {
    return tl::unexpected(attached.error());
  }
  program_ = std::move(*attached);
  return {};
}

Result<bool> TcFilter::is_attached() const {
  return program_ ? program_->is_attached() : Result<bool>(false);
}

Result<tap::TapSettings> TcFilter::settings() const {
  const auto found = program_->maps().settings.get(0);
  if (!found) {
    return tl::unexpected(found.error());
  }
  return found->value_or(tap::TapSettings{});
}

/// Makes the filter look for rules of `kind`, and at least until then.
Result<void> TcFilter::announce(std::uint32_t kind, std::uint64_t until) {
  auto now = settings();
  if (!now) {
    return tl::unexpected(now.error());
  }
  if ((now->kinds & kind) == kind && now->last_until >= until) {
    return {};
  }
  now->kinds |= kind;
  now->last_until = std::max(now->last_until, until);
  return program_->maps().settings.set(0, *now);
}

Result<void> TcFilter::add(const NetworkRule &rule, std::chrono::seconds ttl) {
  if (auto checked = check_rule(rule, ttl); !checked) {
    return checked;
  }
  const std::lock_guard lock(one_change_at_a_time);
  // A tap that was made again has lost its filter.
  if (auto attached = ensure_attached(); !attached) {
    return attached;
  }
  const std::uint64_t until = boot_ns() + static_cast<std::uint64_t>(ttl.count()) * kSecond;
  auto written = write(rule, until);
  if (!written && written.error().code == ErrorCode::LimitReached && erase_expired()) {
    written = write(rule, until);
  }
  if (written) {
    written = announce(kind_of(rule), until);
  }
  if (!written) {
    return written;
  }
  const auto read = until_of(rule);
  const auto attached = is_attached();
  if (!read || !attached) {
    return tl::unexpected(read ? attached.error() : read.error());
  }
  return *read == until && *attached
             ? Result<void>()
             : fail(ErrorCode::SystemFailed, "the filter's rule was not there when read back");
}

Result<void> TcFilter::write(const NetworkRule &rule, std::uint64_t until) {
  const auto &maps = program_->maps();
  if (const auto *flow = std::get_if<FlowRule>(&rule)) {
    return maps.flows.set(key_of(flow->flow), until);
  }
  if (const auto *remote = std::get_if<RemoteRule>(&rule)) {
    const auto key = key_of(remote->remote);
    return maps.remotes.set(key, {until, key.prefix_length, 0});
  }
  if (const auto *port = std::get_if<PortRule>(&rule)) {
    const auto key = key_of(*port);
    auto entry = maps.ports.get(key);
    if (!entry) {
      return tl::unexpected(entry.error());
    }
    auto value = entry->value_or(tap::TapPortUntil{});
    value.until[slot_of(*port)] = until;
    return maps.ports.set(key, value);
  }
  return write_isolation(std::get<IsolationRule>(rule), until);
}

/// The new networks first, then the one write that makes them count, then the old ones go.
Result<void> TcFilter::write_isolation(const IsolationRule &rule, std::uint64_t until) {
  const auto &maps = program_->maps();
  auto now = settings();
  const auto before = maps.allowed.entries(tap::kMostAllowedEntries);
  if (!now || !before) {
    return tl::unexpected(now ? before.error() : now.error());
  }
  const std::uint32_t old = now->generation;
  for (const auto &entry : *before) { // of a change that was cut short
    if (generation_of(entry.key) != old) {
      if (auto erased = maps.allowed.erase(entry.key); !erased) {
        return erased;
      }
    }
  }
  const std::uint32_t next = (old + 1) % kGenerations;
  for (const auto &network : rule.allowed) {
    if (auto set = maps.allowed.set(key_of(network, next), 1); !set) {
      return set;
    }
  }
  now->generation = next;
  now->kinds |= tap::kHasIsolation;
  now->isolated_until = until;
  now->last_until = std::max(now->last_until, until);
  if (auto set = maps.settings.set(0, *now); !set) {
    return set;
  }
  for (const auto &entry : *before) {
    if (generation_of(entry.key) == old) {
      if (auto erased = maps.allowed.erase(entry.key); !erased) {
        return erased;
      }
    }
  }
  return {};
}

Result<IsolationRule> TcFilter::isolation(std::uint32_t generation) const {
  const auto entries = program_->maps().allowed.entries(tap::kMostAllowedEntries);
  if (!entries) {
    return tl::unexpected(entries.error());
  }
  IsolationRule rule;
  for (const auto &entry : *entries) {
    if (generation_of(entry.key) == generation) {
      rule.allowed.push_back(network_of(entry.key));
    }
  }
  std::sort(rule.allowed.begin(), rule.allowed.end());
  return rule;
}

Result<std::uint64_t> TcFilter::until_of(const NetworkRule &rule) const {
  const auto &maps = program_->maps();
  const auto now = settings();
  if (!now || (now->kinds & kind_of(rule)) == 0) { // written, never announced: not looked for
    return now.map([](const auto &) { return std::uint64_t{0}; });
  }
  if (const auto *flow = std::get_if<FlowRule>(&rule)) {
    return maps.flows.get(key_of(flow->flow)).map([](auto found) { return found.value_or(0); });
  }
  if (const auto *remote = std::get_if<RemoteRule>(&rule)) {
    return maps.remotes.get(key_of(remote->remote)).map([](auto found) {
      return found.value_or(tap::TapRemote{}).until;
    });
  }
  if (const auto *port = std::get_if<PortRule>(&rule)) {
    return maps.ports.get(key_of(*port)).map([&](auto found) {
      return found.value_or(tap::TapPortUntil{}).until[slot_of(*port)];
    });
  }
  return isolation(now->generation).map([&](const IsolationRule &there) {
    return there == std::get<IsolationRule>(rule) ? now->isolated_until : 0;
  });
}

Result<void> TcFilter::remove(const NetworkRule &rule) {
  const std::lock_guard lock(one_change_at_a_time);
  if (!program_) {
    return {};
  }
  const auto &maps = program_->maps();
  if (const auto *flow = std::get_if<FlowRule>(&rule)) {
    return maps.flows.erase(key_of(flow->flow));
  }
  if (const auto *remote = std::get_if<RemoteRule>(&rule)) {
    return maps.remotes.erase(key_of(remote->remote));
  }
  if (const auto *port = std::get_if<PortRule>(&rule)) {
    const auto key = key_of(*port);
    auto entry = maps.ports.get(key);
    if (!entry || !*entry) {
      return entry.map([](const auto &) {});
    }
    (*entry)->until[slot_of(*port)] = 0;
    const auto &until = (*entry)->until;
    return std::all_of(std::begin(until), std::end(until), [](auto end) { return end == 0; })
               ? maps.ports.erase(key)
               : maps.ports.set(key, **entry);
  }
  const auto there = until_of(rule);
  if (!there || *there == 0) {
    return there.map([](auto) {});
  }
  auto now = settings();
  if (!now) {
    return tl::unexpected(now.error());
  }
  now->kinds &= ~std::uint32_t{tap::kHasIsolation};
  now->isolated_until = 0;
  return maps.settings.set(0, *now);
}

Result<std::optional<std::chrono::seconds>> TcFilter::remaining(const NetworkRule &rule) const {
  const auto attached = is_attached();
  if (!attached || !*attached) {
    return attached.map([](bool) { return std::optional<std::chrono::seconds>(); });
  }
  return until_of(rule).map([](std::uint64_t until) { return left_of(until, boot_ns()); });
}

Result<std::vector<RuleInForce>> TcFilter::list() const {
  std::vector<RuleInForce> rules;
  const auto attached = is_attached();
  if (!attached || !*attached) {
    return attached.map([&](bool) { return rules; });
  }
  const auto &maps = program_->maps();
  const auto flows = maps.flows.entries(tap::kMostFlows);
  const auto remotes = maps.remotes.entries(tap::kMostRemotes);
  const auto ports = maps.ports.entries(tap::kMostPorts);
  const auto now_set = settings();
  if (!flows || !remotes || !ports || !now_set) {
    return tl::unexpected(!flows     ? flows.error()
                          : !remotes ? remotes.error()
                          : !ports   ? ports.error()
                                     : now_set.error());
  }
  const std::uint64_t now = boot_ns();
  const auto take = [&](NetworkRule rule, std::uint64_t until) {
    const auto left = left_of(until, now);
    if (left && (now_set->kinds & kind_of(rule)) != 0) {
      rules.push_back({std::move(rule), *left});
    }
  };
  for (const auto &entry : *flows) {
    take(FlowRule{flow_of(entry.key)}, entry.value);
  }
  for (const auto &entry : *remotes) {
    take(RemoteRule{network_of(entry.key)}, entry.value.until);
  }
  for (const auto &entry : *ports) {
    for (const auto way : {RuleDirection::Inbound, RuleDirection::Outbound, RuleDirection::Both}) {
      const PortRule rule{entry.key.protocol, entry.key.port, way};
      take(rule, entry.value.until[slot_of(rule)]);
    }
  }
  if ((now_set->kinds & tap::kHasIsolation) != 0 && now_set->isolated_until > now) {
    auto rule = isolation(now_set->generation);
    if (!rule) {
      return tl::unexpected(rule.error());
    }
    take(std::move(*rule), now_set->isolated_until);
  }
  return rules;
}

Result<void> TcFilter::sweep() {
  if (!program_) {
    return {};
  }
  const std::lock_guard lock(one_change_at_a_time);
  program_->remove_other_layouts();
  return erase_expired();
}

Result<void> TcFilter::erase_expired() {
  const auto &maps = program_->maps();
  const std::uint64_t now = boot_ns();
  const auto sweep_map = [](const auto &map, std::size_t most, auto is_over) -> Result<bool> {
    const auto entries = map.entries(most);
    if (!entries) {
      return tl::unexpected(entries.error());
    }
    bool any_left = false;
    for (const auto &entry : *entries) {
      if (!is_over(entry.value)) {
        any_left = true;
      } else if (auto erased = map.erase(entry.key); !erased) {
        return tl::unexpected(erased.error());
      }
    }
    return any_left;
  };
  const auto flows =
      sweep_map(maps.flows, tap::kMostFlows, [&](std::uint64_t until) { return until <= now; });
  const auto remotes = sweep_map(maps.remotes, tap::kMostRemotes,
                                 [&](const tap::TapRemote &value) { return value.until <= now; });
  const auto ports = sweep_map(maps.ports, tap::kMostPorts, [&](const tap::TapPortUntil &value) {
    return std::all_of(std::begin(value.until), std::end(value.until),
                       [&](std::uint64_t until) { return until <= now; });
  });
  auto now_set = settings();
  if (!flows || !remotes || !ports || !now_set) {
    return tl::unexpected(!flows     ? flows.error()
                          : !remotes ? remotes.error()
                          : !ports   ? ports.error()
                                     : now_set.error());
  }
  const bool isolated = now_set->isolated_until > now;
  now_set->kinds = (*flows ? std::uint32_t{tap::kHasFlows} : 0) |
                   (*remotes ? std::uint32_t{tap::kHasRemotes} : 0) |
                   (*ports ? std::uint32_t{tap::kHasPorts} : 0) |
                   (isolated ? std::uint32_t{tap::kHasIsolation} : 0);
  return maps.settings.set(0, *now_set);
}

Result<FilterDrops> TcFilter::drops() const {
  FilterDrops drops;
  if (!program_) {
    return drops;
  }
  const int cpus = ::libbpf_num_possible_cpus();
  if (cpus <= 0) {
    return fail(ErrorCode::SystemFailed, "the number of CPUs is not known");
  }
  std::vector<std::uint64_t> counts(static_cast<std::size_t>(cpus));
  for (const auto &[index, sum] : {std::pair(tap::kDropFlow, &drops.flow),
                                   {tap::kDropRemote, &drops.remote},
                                   {tap::kDropPort, &drops.port},
                                   {tap::kDropIsolation, &drops.isolation},
                                   {tap::kDropUnreadable, &drops.unreadable}}) {
    const std::uint32_t key = index;
    if (auto read = read_map(program_->maps().drops, &key, counts.data()); !read) {
      return tl::unexpected(read.error());
    }
    for (const auto count : counts) {
      *sum += count;
    }
  }
  return drops;
}

Result<void> TcFilter::remove_all() {
  const std::lock_guard lock(one_change_at_a_time);
  if (!program_) {
    return {};
  }
  auto removed = program_->remove();
  program_.reset();
  return removed;
}

} // namespace outguard::respond
