#include "respond/tap_program.h"

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <vector>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <net/if.h>
#include <sys/stat.h>
#include <sys/vfs.h>
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

constexpr long kBpfMagic = 0xcafe4a11;
constexpr std::size_t kMostFolders = 65536; // of taps that we look at for dead ones
constexpr std::array kPrograms{"from_guest", "to_guest"};
// Linux 6.6; libbpf 1.1 passes on what it does not know.
constexpr std::array kTcxTypes{static_cast<bpf_attach_type>(46), static_cast<bpf_attach_type>(47)};
constexpr std::uint32_t kFirst = 1U << 3; // BPF_F_BEFORE, nobody in particular
constexpr std::array kHooks{BPF_TC_INGRESS, BPF_TC_EGRESS};
// Of our classic filter. The first there is: one before it that says OK would hide all from it.
constexpr std::uint32_t kPriority = 1;
constexpr std::uint32_t kHandle = 0x0a11d;

/// libbpf's own macro for this is GNU C.
template <class Options> Options sized() {
  Options options{};
  options.sz = sizeof options;
  return options;
}

struct LinkInfo { // struct bpf_link_info of TCX
  std::uint32_t type, id, program, unused, device, attach_type, unused_at_end[2];
};

/// What libbpf says first of a call of this thread's: mostly why the kernel refused.
thread_local std::string last_words; // NOLINT(readability-identifier-naming)

int keep_words(libbpf_print_level level, const char *format, va_list arguments) {
  if (level == LIBBPF_WARN && last_words.empty()) {
    std::array<char, 512> text{};
    (void)std::vsnprintf(text.data(), text.size(), format, arguments);
    last_words = text.data();
    last_words = last_words.substr(0, last_words.find('\n'));
  }
  return 0;
}

tl::unexpected<Error> refused(const std::string &what, int error) {
  return fail(ErrorCode::Unsupported,
              fmt::format("{}: {}{}{}", what, std::strerror(error < 0 ? -error : error),
                          last_words.empty() ? "" : ": ", last_words));
}

Result<int> device_index(const Fd &netns, const std::string &tap) {
  return hypervisor::in_namespace(netns, [&]() -> Result<int> {
    const auto index = static_cast<int>(::if_nametoindex(tap.c_str()));
    return index != 0 ? Result<int>(index) : fail(ErrorCode::NotFound, "no network device " + tap);
  });
}

/// Device that a link holds, 0 once that is gone.
std::uint32_t device_of(const Fd &link) {
  LinkInfo info{};
  std::uint32_t length = sizeof info;
  return link && ::bpf_obj_get_info_by_fd(link.get(), &info, &length) == 0 ? info.device : 0;
}

Result<void> make_folder(const std::string &path) {
  return ::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST
             ? Result<void>()
             : Result<void>(fail_errno("create " + path));
}

std::vector<std::string> names_in(const std::string &folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end;
       !error && entry != end && names.size() < kMostFolders; entry.increment(error)) {
    names.push_back(entry->path().filename());
  }
  return names;
}

void remove_folder(const std::string &folder) {
  for (const auto &name : names_in(folder)) {
    (void)::unlink((folder + "/" + name).c_str());
  }
  (void)::rmdir(folder.c_str());
}

std::string link_path(const std::string &folder, std::size_t way) {
  return fmt::format("{}/{}_link", folder, kPrograms.at(way));
}

/// Folders whose links outlived their device: they hold memory and filter nothing. Another thread
/// or process may be at work on a folder of its own that has no link yet: that one stays.
void remove_dead(const std::string &all) {
  for (const auto &name : names_in(all)) {
    const std::string folder = all + "/" + name;
    const Fd link(::bpf_obj_get(link_path(folder, 1).c_str()));
    if (link && device_of(link) == 0) {
      remove_folder(folder);
    }
  }
}

} // namespace

Result<TapProgram> TapProgram::attach(const Fd &netns, const std::string &tap, TapHook hook,
                                      const std::string &bpffs) {
  struct statfs status {};
  if (::statfs(bpffs.c_str(), &status) != 0 || status.f_type != kBpfMagic) {
    return fail(ErrorCode::Unsupported,
                "no bpffs is mounted at " + bpffs + " to keep a filter beyond this process");
  }
  const auto device = device_index(netns, tap);
  if (!device) {
    return tl::unexpected(device.error());
  }
  const auto inode = hypervisor::namespace_inode(netns);
  if (!inode) {
    return tl::unexpected(inode.error());
  }
  TapProgram made;
  made.netns_ = Fd(::fcntl(netns.get(), F_DUPFD_CLOEXEC, 0));
  made.device_ = *device;
  made.all_ = bpffs + "/outguard";
  made.prefix_ = fmt::format("{}-{}-", *inode, *device);
  made.pins_ = fmt::format("{}/{}v{}", made.all_, made.prefix_, int{tap::kTapLayout});
  if (auto folder = make_folder(made.all_); !folder) {
    return tl::unexpected(folder.error());
  }
  ::libbpf_set_print(keep_words);
  remove_dead(made.all_);
  if (!made.holds_tap()) {
    remove_folder(made.pins_); // of a device that was here before, or torn off: its rules are void
  }
  if (auto folder = make_folder(made.pins_); !folder) {
    return tl::unexpected(folder.error());
  }
  auto loaded = made.load();
  const std::string aside = made.all_ + "/" + made.prefix_ + "aside";
  if (!loaded && ::rename(made.pins_.c_str(), aside.c_str()) == 0) {
    // Pinned under our name, and not what we can use. It filters until ours does.
    loaded = make_folder(made.pins_);
    loaded = loaded ? made.load() : loaded;
  }
  Result<void> attached = loaded;
  for (std::size_t way = 0; attached && way < kPrograms.size(); ++way) {
    attached = hypervisor::in_namespace(netns, [&] { return made.attach_way(way, hook); });
  }
  if (!attached) {
    if (!made.links_[0]) { // nothing of ours was there before, and nothing stays
      remove_folder(made.pins_);
    }
    return tl::unexpected(attached.error());
  }
  remove_folder(aside);
  return made;
}

Result<void> TapProgram::load() {
  last_words.clear();
  struct Close {
    void operator()(bpf_object *object) const { ::bpf_object__close(object); }
  };
  const auto size = static_cast<std::size_t>(outguard_tap_filter_end - outguard_tap_filter);
  const std::unique_ptr<bpf_object, Close> object(
      ::bpf_object__open_mem(outguard_tap_filter, size, nullptr));
  if (!object) {
    return refused("open the tap's filter", errno);
  }
  // A pin path makes libbpf take over the map that is there, or pin the one it makes.
  bpf_map *map = nullptr;
  bpf_object__for_each_map(map, object.get()) {
    const std::string path = pins_ + "/" + ::bpf_map__name(map);
    if (const int error = ::bpf_map__set_pin_path(map, path.c_str()); error != 0) {
      return refused("name the filter's maps", error);
    }
  }
  if (const int error = ::bpf_object__load(object.get()); error != 0) {
    return refused("the kernel refuses the tap's filter", error);
  }
  const auto map_fd = [&](const char *name) {
    return Fd(::fcntl(::bpf_object__find_map_fd_by_name(object.get(), name), F_DUPFD_CLOEXEC, 0));
  };
  maps_.settings = KernelMap<std::uint32_t, tap::TapSettings>(map_fd("settings"));
  maps_.flows = KernelMap<tap::TapFlow, std::uint64_t>(map_fd("flows"));
  maps_.remotes = KernelMap<tap::TapNetwork, tap::TapRemote>(map_fd("remotes"));
  maps_.ports = KernelMap<tap::TapPort, tap::TapPortUntil>(map_fd("ports"));
  maps_.allowed = KernelMap<tap::TapNetwork, std::uint32_t>(map_fd("allowed"));
  maps_.drops = map_fd("drops");
  for (std::size_t way = 0; way < kPrograms.size(); ++way) {
    bpf_program *program = ::bpf_object__find_program_by_name(object.get(), kPrograms.at(way));
    programs_.at(way) = Fd(::fcntl(::bpf_program__fd(program), F_DUPFD_CLOEXEC, 0));
    if (!programs_.at(way)) {
      return fail_errno("keep the tap's filter");
    }
  }
  return {};
}

/// In the tap's namespace.
Result<void> TapProgram::attach_way(std::size_t way, TapHook hook) {
  const std::string path = link_path(pins_, way);
  Fd link(::bpf_obj_get(path.c_str()));
  if (device_of(link) == static_cast<std::uint32_t>(device_)) {
    if (::bpf_link_update(link.get(), programs_.at(way).get(), nullptr) != 0) {
      return fail_errno("replace the tap's filter");
    }
    links_.at(way) = std::move(link);
    return {};
  }
  (void)::unlink(path.c_str());
  if (hook == TapHook::Classic) {
    return attach_classic(way);
  }
  auto options = sized<bpf_link_create_opts>();
  options.flags = kFirst;
  link = Fd(::bpf_link_create(programs_.at(way).get(), device_, kTcxTypes.at(way), &options));
  if (!link) {
    return attach_classic(way); // before Linux 6.6
  }
  if (::bpf_obj_pin(link.get(), path.c_str()) != 0) {
    return fail_errno("pin the tap's filter");
  }
  links_.at(way) = std::move(link);
  return {};
}

Result<void> TapProgram::attach_classic(std::size_t way) const {
  last_words.clear();
  auto hook = sized<bpf_tc_hook>();
  hook.ifindex = device_;
  hook.attach_point = static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS);
  if (const int error = ::bpf_tc_hook_create(&hook); error != 0 && error != -EEXIST) {
    return refused("add a clsact qdisc to the tap", error);
  }
  hook.attach_point = kHooks.at(way);
  auto options = sized<bpf_tc_opts>();
  options.handle = kHandle;
  options.priority = kPriority;
  options.prog_fd = programs_.at(way).get();
  options.flags = BPF_TC_F_REPLACE;
  const int error = ::bpf_tc_attach(&hook, &options);
  return error == 0 ? Result<void>()
                    : refused("put the filter before all others of the tap", error);
}

bool TapProgram::is_attached() const {
  return is_tcx() ? device_of(links_[0]) != 0 && device_of(links_[1]) != 0 : is_attached_classic();
}

bool TapProgram::holds_tap() const {
  const Fd link(::bpf_obj_get(link_path(pins_, 0).c_str()));
  return device_of(link) == static_cast<std::uint32_t>(device_) || is_attached_classic();
}

bool TapProgram::is_attached_classic() const {
  bool both = true;
  const auto asked = hypervisor::run_in_namespace(netns_, [&] {
    for (const auto way : kHooks) {
      auto hook = sized<bpf_tc_hook>();
      hook.ifindex = device_;
      hook.attach_point = way;
      auto options = sized<bpf_tc_opts>();
      options.handle = kHandle;
      options.priority = kPriority;
      both = both && ::bpf_tc_query(&hook, &options) == 0;
    }
  });
  return asked && both;
}

void TapProgram::remove_other_layouts() const {
  for (const auto &name : names_in(all_)) {
    if (name.rfind(prefix_, 0) == 0 && all_ + "/" + name != pins_) {
      remove_folder(all_ + "/" + name);
    }
  }
}

Result<void> TapProgram::remove() {
  remove_other_layouts();
  const bool tcx = is_tcx();
  links_ = {};
  remove_folder(pins_);
  if (tcx) {
    return {};
  }
  int failed = 0;
  const auto done = hypervisor::run_in_namespace(netns_, [&] {
    for (const auto way : kHooks) {
      auto hook = sized<bpf_tc_hook>();
      hook.ifindex = device_;
      hook.attach_point = way;
      auto options = sized<bpf_tc_opts>();
      options.handle = kHandle;
      options.priority = kPriority;
      const int error = ::bpf_tc_detach(&hook, &options);
      failed =
          error == 0 || error == -ENOENT || error == -ENODEV || error == -EINVAL ? failed : error;
    }
  });
  if (!done) {
    return done;
  }
  return failed == 0 ? Result<void>() : refused("take the filter off the tap", failed);
}

} // namespace outguard::respond
