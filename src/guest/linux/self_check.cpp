#include "guest/linux/self_check.h"

#include <algorithm>
#include <array>
#include <utility>

namespace outguard::guest {
namespace {

constexpr int kTries = 3;                   ///< the list moves while it is looked at
constexpr std::uint32_t kReleaseBytes = 65; ///< of struct new_utsname
constexpr std::uint64_t kNetlinkFamily = 16;
/// jiffies starts at (unsigned int)(-300 * HZ), so that it wraps early (include/linux/jiffies.h);
/// HZ is 1000 at most.
constexpr std::uint64_t kFirstJiffies = 0x1'0000'0000 - 300'000;

tl::unexpected<GuestTrouble> failed(std::string_view check, std::string_view why, Fault fault,
                                    GuestState state = GuestState::Unreadable) {
  return tl::unexpected(
      GuestTrouble{state, "self-check " + std::string(check) + ": " + std::string(why), fault});
}

Fault lie(GuestVirtual where) {
  return {FaultCode::Malformed, where.raw()};
}

} // namespace

SelfCheck::SelfCheck(const Kernel &kernel, const LinuxLayout &layout, const TaskList &tasks)
    : layout_(layout), tasks_(tasks), release_(kernel.seen.release.raw()),
      init_net_(kernel.symbols->find("init_net")), jiffies_(kernel.symbols->find("jiffies_64")) {
  const auto uts = kernel.symbols->find("init_uts_ns");
  const auto release = kernel.types->member("uts_namespace", "name.release");
  if (uts && release && release->size == kReleaseBytes) {
    uts_release_ = uts->plus_wrapping(release->offset);
  }
  const auto routing = kernel.types->member("net", "rtnl");
  if (routing && routing->size == sizeof(std::uint64_t)) {
    net_routing_ = *routing;
  }
}

tl::expected<void, GuestTrouble> SelfCheck::run(KernelReader &reader) const {
  return check_swapper(reader)
      .and_then([&] { return check_release(reader); })
      .and_then([&] { return check_sock_common(); })
      .and_then([&] { return check_pid_one(reader); })
      .and_then([&] { return check_task_list(reader); })
      .and_then([&] { return check_routing_socket(reader); })
      .and_then([&] { return check_jiffies(reader); });
}

SelfCheck::Outcome SelfCheck::check_swapper(KernelReader &reader) const {
  constexpr std::string_view kCheck = "swapper/0";
  const GuestVirtual init_task = tasks_.init_task();
  const auto idle = tasks_.read(init_task, reader);
  if (!idle) {
    return failed(kCheck, "init_task cannot be read", idle.error());
  }
  if (idle->pid != 0 || idle->tgid != 0 || !idle->mm.is_null() ||
      !idle->name().raw().starts_with("swapper")) {
    return failed(kCheck, "init_task is not the idle task", lie(init_task));
  }
  return {};
}

SelfCheck::Outcome SelfCheck::check_pid_one(KernelReader &reader) const {
  constexpr std::string_view kCheck = "pid 1";
  const auto idle = tasks_.read(tasks_.init_task(), reader);
  const auto first = idle.and_then([&](const Task &task) {
    return tasks_.read(task.tasks.next.minus_wrapping(layout_.task.tasks.offset), reader);
  });
  if (!first) {
    return failed(kCheck, "the first task cannot be read", first.error(), GuestState::Booting);
  }
  if (first->pid != 1 || first->mm.is_null()) {
    return failed(kCheck, "it does not run a program yet", {FaultCode::NotFound, 0},
                  GuestState::Booting);
  }
  if (first->tgid != 1 || first->parent != tasks_.init_task()) {
    return failed(kCheck, "it is not the idle task's child", lie(first->address));
  }
  return {};
}

/// From both ends: each neighbour must point back.
SelfCheck::Outcome SelfCheck::check_task_list(KernelReader &reader) const {
  const std::uint32_t offset = layout_.task.tasks.offset;
  const GuestVirtual head = tasks_.init_task().plus_wrapping(offset);
  Fault last{};
  for (int i = 0; i < kTries; ++i) {
    reader.renew(); // each try looks anew: tasks come and go
    const auto idle = tasks_.read(tasks_.init_task(), reader);
    const auto first = idle.and_then([&](const Task &task) {
      return tasks_.read(task.tasks.next.minus_wrapping(offset), reader);
    });
    const auto end = idle.and_then([&](const Task &task) {
      return tasks_.read(task.tasks.back.minus_wrapping(offset), reader);
    });
    if (first && end && first->tasks.back == head && end->tasks.next == head) {
      return {};
    }
    last = !first ? first.error() : !end ? end.error() : lie(head);
  }
  return failed("task list", "neighbours do not point back at each other", last);
}

/// The first 20 bytes depend on no option, and are the same in every kernel from 5.10 to 7.3; what
/// the types say of them tells whether the types were read rightly.
SelfCheck::Outcome SelfCheck::check_sock_common() const {
  constexpr std::string_view kCheck = "sock_common";
  const SocketLayout &socket = layout_.socket;
  const std::array<std::pair<std::string_view, bool>, 9> rules{{
      {"skc_daddr", socket.remote_v4.offset == 0},
      {"skc_rcv_saddr", socket.local_v4.offset == 4},
      {"skc_dport", socket.remote_port.offset == 12 && socket.remote_port.size == 2},
      {"skc_num", socket.local_port.offset == 14 && socket.local_port.size == 2},
      {"skc_family", socket.family.offset == 16 && socket.family.size == 2},
      {"skc_state", socket.state.offset == 18 && socket.state.size == 1},
      {"skc_node", socket.node.offset >= 20},
      {"skc_net", socket.net.offset >= 20 && socket.net.offset % 8 == 0},
      {"skc_v6_rcv_saddr", socket.local_v6.offset == socket.remote_v6.offset + 16},
  }};
  for (const auto &[member, holds] : rules) {
    if (!holds) {
      return failed(kCheck, std::string(member) + " has an unknown place",
                    {FaultCode::Malformed, 0});
    }
  }
  return {};
}

/// One socket that every namespace of every kernel has, known without any table.
SelfCheck::Outcome SelfCheck::check_routing_socket(KernelReader &reader) const {
  constexpr std::string_view kCheck = "routing socket";
  if (!init_net_ || !net_routing_) {
    return {};
  }
  const auto sock = reader.pointer(init_net_->plus_wrapping(net_routing_->offset));
  if (!sock) {
    return failed(kCheck, "init_net cannot be read", sock.error());
  }
  ObjectCopy copy(layout_.socket.sock);
  if (const auto loaded = copy.load(reader, *sock); !loaded) {
    return failed(kCheck, "init_net.rtnl cannot be read", loaded.error());
  }
  const SocketLayout &socket = layout_.socket;
  if (copy.number(socket.family) != kNetlinkFamily || copy.number(socket.protocol) != 0 ||
      copy.pointer(socket.net) != *init_net_) {
    return failed(kCheck, "init_net.rtnl is no netlink socket of init_net", lie(*sock));
  }
  return {};
}

SelfCheck::Outcome SelfCheck::check_release(KernelReader &reader) const {
  constexpr std::string_view kCheck = "release";
  if (!uts_release_) {
    return {};
  }
  std::array<std::uint8_t, kReleaseBytes> bytes{};
  if (const auto done = reader.read(*uts_release_, bytes); !done) {
    return failed(kCheck, "init_uts_ns cannot be read", done.error());
  }
  const std::string text(bytes.begin(), std::find(bytes.begin(), bytes.end(), 0));
  if (text != release_) {
    return failed(kCheck, "init_uts_ns is not of the banner's release", lie(*uts_release_));
  }
  return {};
}

SelfCheck::Outcome SelfCheck::check_jiffies(KernelReader &reader) const {
  constexpr std::string_view kCheck = "jiffies";
  if (!jiffies_) {
    return {};
  }
  const auto value = reader.pointer(*jiffies_);
  if (!value) {
    return failed(kCheck, "jiffies_64 cannot be read", value.error());
  }
  if (value->raw() < kFirstJiffies) {
    return failed(kCheck, "jiffies_64 is below where every kernel starts to count", lie(*jiffies_));
  }
  return {};
}

} // namespace outguard::guest
