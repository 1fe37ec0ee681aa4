#include "respond/pinned_program.h"

#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace outguard::respond {

namespace {

constexpr long kBpfMagic = 0xcafe4a11;
constexpr std::size_t kMostNames = 65536;
// Linux 6.6; libbpf 1.1 passes on what it does not know.
constexpr std::array kTcxTypes{static_cast<bpf_attach_type>(46), static_cast<bpf_attach_type>(47)};
constexpr std::uint32_t kFirst = 1U << 3; // BPF_F_BEFORE, nobody in particular
constexpr std::array kClassicWays{BPF_TC_INGRESS, BPF_TC_EGRESS};
// The first there is: one before it that says OK would hide all from it.
constexpr std::uint32_t kPriority = 1;

/// libbpf's own macro for this is GNU C.
template <class Options> Options sized() {
  Options options{};
  options.sz = sizeof options;
  return options;
}

struct LinkInfo { // struct bpf_link_info of TCX
  std::uint32_t type, id, program, unused, device, attach_type, unused_at_end[2];
};

struct Classic {
  bpf_tc_hook hook = sized<bpf_tc_hook>();
  bpf_tc_opts options = sized<bpf_tc_opts>();

  explicit Classic(const ProgramHook &where) {
    hook.ifindex = where.device;
    hook.attach_point = kClassicWays.at(static_cast<std::size_t>(where.way));
    options.handle = where.handle;
    options.priority = kPriority;
  }
};

/// No such filter, qdisc or device.
bool is_not_there(int error) {
  return error == -ENOENT || error == -ENODEV || error == -EINVAL;
}

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

void listen_to_libbpf() {
  ::libbpf_set_print(keep_words);
  last_words.clear();
}

tl::unexpected<Error> refused(const std::string &what, int error) {
  return fail(ErrorCode::Unsupported,
              fmt::format("{}: {}{}{}", what, std::strerror(error < 0 ? -error : error),
                          last_words.empty() ? "" : ": ", last_words));
}

Result<Fd> keep(int fd, const char *what) {
  Fd kept(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  return kept ? Result<Fd>(std::move(kept)) : fail_errno(std::string("keep ") + what);
}

} // namespace

Result<void> check_bpffs(const std::string &path) {
  struct statfs status {};
  return ::statfs(path.c_str(), &status) == 0 && status.f_type == kBpfMagic
             ? Result<void>()
             : fail(ErrorCode::Unsupported,
                    "no bpffs is mounted at " + path + " to keep a program beyond this process");
}

std::vector<std::string> names_in_folder(const std::string &folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end;
       !error && entry != end && names.size() < kMostNames; entry.increment(error)) {
    names.push_back(entry->path().filename());
  }
  return names;
}

Result<void> make_pin_folder(const std::string &path) {
  return ::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST
             ? Result<void>()
             : Result<void>(fail_errno("create " + path));
}

void remove_pin_folder(const std::string &folder) {
  for (const auto &name : names_in_folder(folder)) {
    (void)::unlink((folder + "/" + name).c_str());
  }
  (void)::rmdir(folder.c_str());
}

void PinnedObject::Close::operator()(bpf_object *object) const {
  ::bpf_object__close(object);
}

Result<PinnedObject> PinnedObject::load(std::span<const unsigned char> object,
                                        const std::string &folder) {
  listen_to_libbpf();
  PinnedObject made;
  made.object_.reset(::bpf_object__open_mem(object.data(), object.size(), nullptr));
  if (!made.object_) {
    return refused("open an eBPF object", errno);
  }
  bpf_map *map = nullptr;
  bpf_object__for_each_map(map, made.object_.get()) {
    // A pin path makes libbpf take over the map that is there, or pin the one it makes.
    const std::string path = folder + "/" + ::bpf_map__name(map);
    if (const int error = folder.empty() ? 0 : ::bpf_map__set_pin_path(map, path.c_str());
        error != 0) {
      return refused("name an eBPF map", error);
    }
  }
  const int error = ::bpf_object__load(made.object_.get());
  return error == 0 ? Result<PinnedObject>(std::move(made))
                    : refused("the kernel refuses an eBPF program", error);
}

Result<Fd> PinnedObject::map(const char *name) const {
  return keep(::bpf_object__find_map_fd_by_name(object_.get(), name), "an eBPF map");
}

Result<Fd> PinnedObject::program(const char *name) const {
  const bpf_program *found = ::bpf_object__find_program_by_name(object_.get(), name);
  return keep(found != nullptr ? ::bpf_program__fd(found) : -1, "an eBPF program");
}

Result<Fd> attach_tcx(const Fd &program, const ProgramHook &hook, const std::string &pin) {
  auto there = open_link(pin);
  const auto device = there ? device_of_link(*there) : tl::unexpected(there.error());
  if (!device) {
    return tl::unexpected(device.error());
  }
  if (*device == hook.device) {
    return ::bpf_link_update(there->get(), program.get(), nullptr) == 0
               ? std::move(there)
               : fail_errno("replace an eBPF program");
  }
  (void)::unlink(pin.c_str());
  auto options = sized<bpf_link_create_opts>();
  options.flags = kFirst;
  Fd link(::bpf_link_create(program.get(), hook.device,
                            kTcxTypes.at(static_cast<std::size_t>(hook.way)), &options));
  if (!link) {
    return fail(ErrorCode::NotFound, "this kernel has no TCX");
  }
  return ::bpf_obj_pin(link.get(), pin.c_str()) == 0 ? Result<Fd>(std::move(link))
                                                     : fail_errno("pin an eBPF program");
}

/// What knows TCX looks for the device first; what does not, for the kind of link.
bool has_tcx(const Fd &program) {
  constexpr int kNoDevice = 0x7fffffff; // an index that no kernel comes to
  auto options = sized<bpf_link_create_opts>();
  options.flags = kFirst;
  const Fd none(::bpf_link_create(program.get(), kNoDevice, kTcxTypes[0], &options));
  return errno == ENODEV;
}

Result<int> device_of_link(const Fd &link) {
  LinkInfo info{};
  std::uint32_t length = sizeof info;
  if (link && ::bpf_obj_get_info_by_fd(link.get(), &info, &length) != 0) {
    return fail_errno("ask where an eBPF program is attached");
  }
  return static_cast<int>(info.device);
}

Result<Fd> open_link(const std::string &pin) {
  Fd link(::bpf_obj_get(pin.c_str()));
  return link || errno == ENOENT ? Result<Fd>(std::move(link)) : fail_errno("open " + pin);
}

Result<int> device_of_pin(const std::string &pin) {
  const auto link = open_link(pin);
  return link ? device_of_link(*link) : Result<int>(tl::unexpected(link.error()));
}

Result<void> attach_classic(const Fd &program, const ProgramHook &hook) {
  listen_to_libbpf();
  Classic classic(hook);
  auto both = classic.hook;
  both.attach_point = static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS);
  if (const int error = ::bpf_tc_hook_create(&both); error != 0 && error != -EEXIST) {
    return refused("add a clsact qdisc", error);
  }
  classic.options.prog_fd = program.get();
  classic.options.flags = BPF_TC_F_REPLACE;
  const int error = ::bpf_tc_attach(&classic.hook, &classic.options);
  return error == 0 ? Result<void>() : refused("put a program before all other filters", error);
}

Result<bool> is_attached_classic(const ProgramHook &hook) {
  listen_to_libbpf();
  Classic classic(hook);
  const int error = ::bpf_tc_query(&classic.hook, &classic.options);
  return error == 0 || is_not_there(error) ? Result<bool>(error == 0)
                                           : refused("ask for a program", error);
}

Result<void> detach_classic(const ProgramHook &hook) {
  listen_to_libbpf();
  Classic classic(hook);
  const int error = ::bpf_tc_detach(&classic.hook, &classic.options);
  return error == 0 || is_not_there(error)
             ? Result<void>()
             : refused("take a program off a device", error);
}

} // namespace outguard::respond
