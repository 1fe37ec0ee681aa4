#include "respond/tap_program.h"

#include <charconv>

#include <bpf/bpf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <net/if.h>
#include <unistd.h>

#include "hypervisor/network_namespace.h"

// The compiled filter, as it is.
asm(".section .rodata\n"
    ".balign 8\n"
    ".global outguard_tap_filter\n"
    "outguard_tap_filter:\n"
    ".incbin \"" OUTGUARD_TAP_FILTER "\"\n"
    ".global outguard_tap_filter_end\n"
    "outguard_tap_filter_end:\n"
    ".previous\n");
extern "C" const unsigned char outguard_tap_filter[];     // NOLINT(readability-identifier-naming)
extern "C" const unsigned char outguard_tap_filter_end[]; // NOLINT(readability-identifier-naming)

namespace outguard::respond {

namespace {

constexpr std::array kPrograms{"from_guest", "to_guest"};
constexpr std::array kWays{TapWay::Ingress, TapWay::Egress};
constexpr std::uint32_t kHandle = 0x0a11d; // of our classic filters

Result<int> device_index(const Fd &netns, const std::string &tap) {
  return hypervisor::in_namespace(netns, [&]() -> Result<int> {
    const auto index = static_cast<int>(::if_nametoindex(tap.c_str()));
    return index != 0 ? Result<int>(index) : fail(ErrorCode::NotFound, "no network device " + tap);
  });
}

std::string link_path(const std::string &folder, std::size_t way) {
  return fmt::format("{}/{}_link", folder, kPrograms.at(way));
}

ProgramHook hook_of(int device, std::size_t way) {
  return {device, kWays.at(way), kHandle};
}

/// Folders whose links outlived their device: they hold memory and filter nothing. Another thread
/// or process may be at work on a folder of its own that has no link yet: that one stays.
void remove_unlinked(const std::string &all) {
  for (const auto &name : names_in_folder(all)) {
    const std::string folder = all + "/" + name;
    const auto link = open_link(link_path(folder, 1));
    if (link && *link && device_of_link(*link) == 0) {
      remove_pin_folder(folder);
    }
  }
}

/// The device of this namespace that a folder is of: "INODE-DEVICE-vLAYOUT".
unsigned device_in(const std::string &name, const std::string &prefix) {
  unsigned index = 0;
  if (name.rfind(prefix, 0) == 0) {
    (void)std::from_chars(name.data() + prefix.size(), name.data() + name.size(), index);
  }
  return index;
}

} // namespace

void TapProgram::remove_dead(const Fd &netns, const std::string &bpffs) {
  const auto inode = hypervisor::namespace_inode(netns);
  const std::string all = bpffs + "/outguard";
  if (!inode || !check_bpffs(bpffs)) {
    return;
  }
  remove_unlinked(all);
  // A classic filter went with its device and left what it had pinned.
  const std::string prefix = fmt::format("{}-", *inode);
  (void)hypervisor::run_in_namespace(netns, [&] {
    for (const auto &name : names_in_folder(all)) {
      std::array<char, IF_NAMESIZE> device{};
      const unsigned index = device_in(name, prefix);
      if (index != 0 && ::if_indextoname(index, device.data()) == nullptr && errno == ENXIO) {
        remove_pin_folder(all + "/" + name);
      }
    }
  });
}

Result<TapProgram> TapProgram::at(const Fd &netns, const std::string &tap,
                                  const std::string &bpffs) {
  const auto device = device_index(netns, tap);
  const auto inode = hypervisor::namespace_inode(netns);
  if (!device || !inode) {
    return tl::unexpected(device ? inode.error() : device.error());
  }
  TapProgram made;
  made.netns_ = Fd(::fcntl(netns.get(), F_DUPFD_CLOEXEC, 0));
  made.device_ = *device;
  made.all_ = bpffs + "/outguard";
  made.prefix_ = fmt::format("{}-{}-", *inode, *device);
  made.pins_ = fmt::format("{}/{}v{}", made.all_, made.prefix_, int{tap::kTapLayout});
  return made;
}

Result<TapHook> TapProgram::probe(const std::string &bpffs) {
  if (auto mounted = check_bpffs(bpffs); !mounted) {
    return tl::unexpected(mounted.error());
  }
  if (::access(bpffs.c_str(), W_OK) != 0) {
    return fail(ErrorCode::Unsupported, "the bpffs at " + bpffs + " cannot be written to");
  }
  TapProgram made;
  if (auto loaded = made.load(""); !loaded) {
    return tl::unexpected(loaded.error());
  }
  return has_tcx(made.programs_[0]) ? TapHook::Newest : TapHook::Classic;
}

Result<std::optional<TapProgram>> TapProgram::find(const Fd &netns, const std::string &tap,
                                                   const std::string &bpffs) {
  auto found = at(netns, tap, bpffs);
  if (!found) {
    return tl::unexpected(found.error());
  }
  const auto pinned = [&](const char *name) {
    return Fd(::bpf_obj_get((found->pins_ + "/" + name).c_str()));
  };
  const auto holds = found->holds_tap();
  if (!holds) {
    return tl::unexpected(holds.error());
  }
  if (::access((found->pins_ + "/settings").c_str(), F_OK) != 0 || !*holds) {
    return std::optional<TapProgram>();
  }
  found->take_maps(pinned);
  for (std::size_t way = 0; way < kPrograms.size(); ++way) {
    auto link = open_link(link_path(found->pins_, way));
    if (!link) {
      return tl::unexpected(link.error());
    }
    found->links_.at(way) = std::move(*link);
  }
  return std::optional<TapProgram>(std::move(*found));
}

Result<TapProgram> TapProgram::attach(const Fd &netns, const std::string &tap, TapHook hook,
                                      const std::string &bpffs) {
  if (auto mounted = check_bpffs(bpffs); !mounted) {
    return tl::unexpected(mounted.error());
  }
  auto at_tap = at(netns, tap, bpffs);
  if (!at_tap) {
    return at_tap;
  }
  TapProgram made = std::move(*at_tap);
  if (auto folder = make_pin_folder(made.all_); !folder) {
    return tl::unexpected(folder.error());
  }
  remove_unlinked(made.all_);
  const auto holds = made.holds_tap();
  if (!holds) {
    return tl::unexpected(holds.error());
  }
  bool is_new = !*holds;
  if (is_new) {
    remove_pin_folder(made.pins_); // of a device that was here before, or torn off: rules are void
  }
  if (auto folder = make_pin_folder(made.pins_); !folder) {
    return tl::unexpected(folder.error());
  }
  auto loaded = made.load(made.pins_);
  const std::string aside = made.all_ + "/" + made.prefix_ + "aside";
  if (!loaded && ::access((made.pins_ + "/settings").c_str(), F_OK) == 0) {
    // Pinned under our name, and not what we can use. It filters until it is swept, as what another
    // layout left does.
    remove_pin_folder(aside);
    const bool moved = ::rename(made.pins_.c_str(), aside.c_str()) == 0;
    is_new = is_new || moved;
    loaded = moved ? make_pin_folder(made.pins_) : loaded;
    loaded = moved && loaded ? made.load(made.pins_) : loaded;
  }
  Result<void> attached = loaded;
  for (std::size_t way = 0; attached && way < kPrograms.size(); ++way) {
    attached = hypervisor::in_namespace(netns, [&] { return made.attach_way(way, hook); });
  }
  if (!attached) {
    if (is_new && !made.links_[0]) { // nothing of ours was there before, and nothing stays
      remove_pin_folder(made.pins_);
    }
    return tl::unexpected(attached.error());
  }
  return made;
}

void TapProgram::take_maps(const std::function<Fd(const char *)> &map) {
  maps_.settings = KernelMap<std::uint32_t, tap::TapSettings>(map("settings"));
  maps_.flows = KernelMap<tap::TapFlow, std::uint64_t>(map("flows"));
  maps_.remotes = KernelMap<tap::TapNetwork, tap::TapRemote>(map("remotes"));
  maps_.ports = KernelMap<tap::TapPort, tap::TapPortUntil>(map("ports"));
  maps_.allowed = KernelMap<tap::TapNetwork, std::uint32_t>(map("allowed"));
  maps_.drops = map("drops");
}

Result<void> TapProgram::load(const std::string &pins) {
  const auto object = PinnedObject::load({outguard_tap_filter, outguard_tap_filter_end}, pins);
  if (!object) {
    return tl::unexpected(object.error());
  }
  take_maps([&](const char *name) {
    auto map = object->map(name);
    return map ? std::move(*map) : Fd();
  });
  for (std::size_t way = 0; way < kPrograms.size(); ++way) {
    auto program = object->program(kPrograms.at(way));
    if (!program) {
      return tl::unexpected(program.error());
    }
    programs_.at(way) = std::move(*program);
  }
  return {};
}

/// In the tap's namespace.
Result<void> TapProgram::attach_way(std::size_t way, TapHook hook) {
  const auto path = link_path(pins_, way);
  const auto where = hook_of(device_, way);
  const auto held = device_of_pin(path);
  if (!held) {
    return tl::unexpected(held.error());
  }
  if (hook == TapHook::Newest || *held == device_) {
    auto link = attach_tcx(programs_.at(way), where, path);
    if (link) {
      links_.at(way) = std::move(*link);
      return {};
    }
    if (link.error().code != ErrorCode::NotFound) { // that is a kernel before Linux 6.6
      return tl::unexpected(link.error());
    }
  }
  (void)::unlink(path.c_str());
  return respond::attach_classic(programs_.at(way), where);
}

Result<bool> TapProgram::is_attached() const {
  if (!is_tcx()) {
    return has_classic();
  }
  for (const auto &link : links_) {
    const auto held = device_of_link(link);
    if (!held || *held == 0) {
      return held.map([](int) { return false; });
    }
  }
  return true;
}

Result<bool> TapProgram::holds_tap() const {
  const auto held = device_of_pin(link_path(pins_, 0));
  return held && *held != device_ ? has_classic() : held.map([](int) { return true; });
}

Result<bool> TapProgram::has_classic() const {
  return hypervisor::in_namespace(netns_, [&]() -> Result<bool> {
    const auto first = is_attached_classic(hook_of(device_, 0));
    return first && *first ? is_attached_classic(hook_of(device_, 1)) : first;
  });
}

void TapProgram::remove_other_layouts() const {
  for (const auto &name : names_in_folder(all_)) {
    if (name.rfind(prefix_, 0) == 0 && all_ + "/" + name != pins_) {
      remove_pin_folder(all_ + "/" + name);
    }
  }
}

Result<void> TapProgram::remove() {
  remove_other_layouts();
  const bool tcx = is_tcx();
  links_ = {};
  remove_pin_folder(pins_);
  return tcx ? Result<void>() : hypervisor::in_namespace(netns_, [&] {
    const auto from_guest = detach_classic(hook_of(device_, 0));
    const auto to_guest = detach_classic(hook_of(device_, 1));
    return from_guest ? to_guest : from_guest;
  });
}

} // namespace outguard::respond
