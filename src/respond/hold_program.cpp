#include "respond/hold_program.h"

#include <charconv>

#include <fcntl.h>
#include <fmt/format.h>
#include <net/if.h>
#include <unistd.h>

#include "hypervisor/network_namespace.h"
#include "respond/veth_pair.h"

// The compiled programs, as they are.
asm(".section .rodata\n"
    ".balign 8\n"
    ".global outguard_hold_gate\n"
    "outguard_hold_gate:\n"
    ".incbin \"" OUTGUARD_HOLD_GATE "\"\n"
    ".global outguard_hold_gate_end\n"
    "outguard_hold_gate_end:\n"
    ".previous\n");
extern "C" const unsigned char outguard_hold_gate[];     // NOLINT(readability-identifier-naming)
extern "C" const unsigned char outguard_hold_gate_end[]; // NOLINT(readability-identifier-naming)

namespace outguard::respond {

namespace {

constexpr std::array kPrograms{"from_guest", "to_guest"};
constexpr std::array kWays{TapWay::Ingress, TapWay::Egress};
constexpr std::uint32_t kHandle = 0x0a11e; // beside tap_program.cpp's

std::string hold_device_of(int tap) {
  return fmt::format("og-hold{}", tap);
}
std::string judge_device_of(int tap) {
  return fmt::format("og-judge{}", tap);
}

std::string link_path(const std::string &folder, std::size_t way) {
  return fmt::format("{}/{}_link", folder, kPrograms.at(way));
}

ProgramHook tap_hook(int device, std::size_t way) {
  return {device, kWays.at(way), kHandle};
}

bool is_there(const std::string &device) {
  return ::if_nametoindex(device.c_str()) != 0;
}

} // namespace

Result<HoldProgram> HoldProgram::attach(const Fd &netns, const std::string &tap, TapHook hook,
                                        const std::string &bpffs) {
  if (auto mounted = check_bpffs(bpffs); !mounted) {
    return tl::unexpected(mounted.error());
  }
  const auto inode = hypervisor::namespace_inode(netns);
  if (!inode) {
    return tl::unexpected(inode.error());
  }
  HoldProgram made;
  made.netns_ = Fd(::fcntl(netns.get(), F_DUPFD_CLOEXEC, 0));
  made.all_ = bpffs + "/outguard";
  made.prefix_ = fmt::format("hold-{}-", *inode);
  if (auto folder = make_pin_folder(made.all_); !folder) {
    return tl::unexpected(folder.error());
  }
  const auto attached = hypervisor::in_namespace(netns, [&]() -> Result<void> {
    made.device_ = static_cast<int>(::if_nametoindex(tap.c_str()));
    if (made.device_ == 0) {
      return fail(ErrorCode::NotFound, "no network device " + tap);
    }
    made.pins_ = fmt::format("{}/{}{}-v{}", made.all_, made.prefix_, made.device_,
                             static_cast<int>(tap::kHoldLayout));
    made.remove_dead();
    const bool was_there = made.is_attached_here();
    auto done = made.attach_here(hook);
    if (!done && !was_there) { // nothing of ours was there before, and nothing stays
      (void)made.remove_here();
    }
    return done;
  });
  return attached ? Result<HoldProgram>(std::move(made)) : tl::unexpected(attached.error());
}

Result<void> HoldProgram::probe(const std::string &bpffs) {
  if (auto mounted = check_bpffs(bpffs); !mounted) {
    return mounted;
  }
  return HoldProgram().load("");
}

Result<void> HoldProgram::load(const std::string &folder) {
  const auto size = static_cast<std::size_t>(outguard_hold_gate_end - outguard_hold_gate);
  const auto object = PinnedObject::load({outguard_hold_gate, size}, folder);
  if (!object) {
    return tl::unexpected(object.error());
  }
  Fd settings;
  const std::array maps{std::pair("settings", &settings), std::pair("pulse", &maps_.pulse),
                        std::pair("counts", &maps_.counts), std::pair("verdicts", &maps_.verdicts),
                        std::pair("waiting", &maps_.waiting)};
  for (const auto &[name, fd] : maps) {
    auto map = object->map(name);
    if (!map) {
      return tl::unexpected(map.error());
    }
    *fd = std::move(*map);
  }
  maps_.settings = KernelMap<std::uint32_t, tap::HoldKernelSettings>(std::move(settings));
  const std::array programs{
      std::pair(kPrograms[0], &programs_[0]), std::pair(kPrograms[1], &programs_[1]),
      std::pair("answered", &answered_), std::pair("after_judge", &after_judge_)};
  for (const auto &[name, fd] : programs) {
    auto program = object->program(name);
    if (!program) {
      return tl::unexpected(program.error());
    }
    *fd = std::move(*program);
  }
  return {};
}

/// What an earlier process left is taken over, piece by piece; each piece is replaced in one step.
Result<void> HoldProgram::attach_here(TapHook hook) {
  if (auto folder = make_pin_folder(pins_); !folder) {
    return folder;
  }
  auto done = load(pins_);
  if (!done) { // maybe pinned under our name, and not what we can use
    (void)remove_here();
    done = make_pin_folder(pins_);
    done = done ? load(pins_) : done;
  }
  done = done ? make_pair() : done;
  for (std::size_t way = 0; done && way < kPrograms.size(); ++way) {
    const auto where = tap_hook(device_, way);
    auto link = hook == TapHook::Newest
                    ? attach_tcx(programs_.at(way), where, link_path(pins_, way))
                    : Result<Fd>(fail(ErrorCode::NotFound, "not wanted"));
    if (link) {
      links_.at(way) = std::move(*link);
    } else {
      done = link.error().code == ErrorCode::NotFound ? attach_classic(programs_.at(way), where)
                                                      : Result<void>(tl::unexpected(link.error()));
    }
  }
  return done;
}

/// Both devices are ours alone: classic filters do on every kernel, and go when the devices go.
Result<void> HoldProgram::make_pair() {
  const std::string hold = hold_device_of(device_);
  const std::string judge = judge_device_of(device_);
  auto known = maps_.settings.get(0);
  if (!known) {
    return tl::unexpected(known.error());
  }
  auto settings = known->value_or(tap::HoldKernelSettings{});
  const bool is_ours = settings.hold_device != 0 &&
                       settings.hold_device == ::if_nametoindex(hold.c_str()) &&
                       settings.judge_device == ::if_nametoindex(judge.c_str());
  if (!is_ours) {
    if (auto removed = remove_device(hold); !removed) {
      return removed;
    }
    const auto pair = make_veth_pair(hold, judge);
    if (!pair) {
      return tl::unexpected(pair.error());
    }
    settings.hold_device = static_cast<std::uint32_t>(pair->first);
    settings.judge_device = static_cast<std::uint32_t>(pair->second);
  }
  settings.tap_device = static_cast<std::uint32_t>(device_);
  const ProgramHook hold_hook{static_cast<int>(settings.hold_device), TapWay::Ingress, kHandle};
  const ProgramHook judge_hook{static_cast<int>(settings.judge_device), TapWay::Ingress, kHandle};
  auto done = attach_classic(answered_, hold_hook);
  done = done ? attach_classic(after_judge_, judge_hook) : done;
  return done ? maps_.settings.set(0, settings) : done;
}

bool HoldProgram::is_attached() const {
  bool attached = false;
  const auto asked = hypervisor::run_in_namespace(netns_, [&] { attached = is_attached_here(); });
  return asked && attached;
}

bool HoldProgram::is_attached_here() const {
  bool both = is_there(hold_device_of(device_)) && is_there(judge_device_of(device_));
  for (std::size_t way = 0; both && way < kPrograms.size(); ++way) {
    both = device_of_pin(link_path(pins_, way)) == device_ ||
           is_attached_classic(tap_hook(device_, way)) == true;
  }
  return both;
}

std::string HoldProgram::judge_device() const {
  return judge_device_of(device_);
}

/// Of taps of this namespace that are gone: their folders, and the pairs that outlived them.
void HoldProgram::remove_dead() const {
  for (const auto &name : names_in_folder(all_)) {
    if (name.rfind(prefix_, 0) != 0) {
      continue;
    }
    int device = 0;
    const char *end = name.data() + name.size();
    const auto read = std::from_chars(name.data() + prefix_.size(), end, device);
    std::array<char, IF_NAMESIZE> tap{};
    if (read.ec == std::errc() &&
        ::if_indextoname(static_cast<unsigned>(device), tap.data()) == nullptr) {
      (void)remove_device(hold_device_of(device));
      remove_pin_folder(all_ + "/" + name);
    }
  }
}

Result<void> HoldProgram::remove() {
  return hypervisor::in_namespace(netns_, [&] { return remove_here(); });
}

Result<void> HoldProgram::remove_here() {
  // First nothing is steered any more, then the way back goes.
  links_ = {};
  for (std::size_t way = 0; way < kPrograms.size(); ++way) {
    (void)::unlink(link_path(pins_, way).c_str());
    if (auto detached = detach_classic(tap_hook(device_, way)); !detached) {
      return detached;
    }
  }
  auto removed = remove_device(hold_device_of(device_));
  remove_pin_folder(pins_);
  (void)::rmdir(all_.c_str()); // if it is empty
  return removed;
}

} // namespace outguard::respond
