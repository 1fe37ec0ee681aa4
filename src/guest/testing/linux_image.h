#pragma once
// Builds the kernel objects that guest/linux walks: tasks, files, sockets, tables, namespaces,
// paths, in a GuestImageBuilder, with made-up offsets that no real kernel has. Everything can be
// overwritten afterwards, so that wrong images are built as easily. One thread at a time.
//
//   LinuxImage image;
//   const auto web = image.add_process({.pid = 80, .comm = "web"});
//   image.hold(web, 3, image.add_socket({.state = 10, .local = {...}}));
//   auto guest = LinuxGuest::attach(image.kernel());

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip_address.h"
#include "guest/symbols/kernel.h"
#include "guest/testing/fake_symbol_table.h"
#include "guest/testing/fake_type_table.h"
#include "guest/testing/guest_image_builder.h"

namespace outguard::guest {

struct ProcessSpec {
  std::int32_t pid = 100;
  std::string comm = "process";
  GuestVirtual parent{};         ///< null: pid 1, or for pid 1 the idle task
  std::string exe = "/bin/demo"; ///< empty: no program (mm is null)
  std::vector<std::string> arguments = {"demo"};
  std::uint32_t uid = 0;
  std::uint32_t state = 1;
  std::uint32_t exit_state = 0;
  std::uint32_t flags = 0;
  GuestVirtual net{}; ///< null: the initial namespace
};

struct SocketSpec {
  std::uint8_t protocol = 6;
  std::uint16_t type = 1; ///< SOCK_STREAM 1, SOCK_DGRAM 2, SOCK_RAW 3
  std::uint8_t state = 1;
  Endpoint local{};
  Endpoint remote{};
  std::uint64_t inode = 1000;
  GuestVirtual net{};     ///< null: the initial namespace
  bool has_socket = true; ///< false: an orphan, or not accepted
  bool in_table = true;
  bool ipv6_only = false;
  std::uint16_t family = 0; ///< 0: that of `local`
};

struct SocketObjects {
  GuestVirtual sock;
  GuestVirtual socket; ///< null without one
};

class LinuxImage {
public:
  explicit LinuxImage(PagingLevels levels = PagingLevels::Four);

  /// A Linux with everything put in so far; the image must outlive it.
  [[nodiscard]] Kernel kernel();

  GuestVirtual add_process(const ProcessSpec &spec);
  /// With its leader's descriptors, or a table of its own.
  GuestVirtual add_thread(GuestVirtual leader, std::int32_t pid, bool own_files = false);
  SocketObjects add_socket(const SocketSpec &spec);
  /// An object in the established table that ends right after its sock_common; 6: TIME_WAIT with
  /// `substate`, 12: half-open.
  GuestVirtual add_minisock(std::uint8_t state, const Endpoint &local, const Endpoint &remote,
                            std::uint8_t substate = 6);
  GuestVirtual add_namespace(std::uint32_t inode);
  /// A css_set of the cgroup v2 path, whose parts are made anew.
  GuestVirtual add_cgroup(std::string_view path);
  /// Adds systemd's own v1 hierarchy to a css_set, with the path in it.
  void add_systemd_cgroup(GuestVirtual css_set, std::string_view path);
  /// Puts the task into a pid namespace below its own, with this number there.
  void nest_pid(GuestVirtual task, std::int32_t number, std::uint32_t namespace_inode);
  /// Gives `task` the descriptor; a second holder shares the file. Returns the struct file.
  GuestVirtual hold(GuestVirtual task, std::uint32_t fd, const SocketObjects &socket);
  /// A descriptor that is no socket.
  GuestVirtual hold_plain_file(GuestVirtual task, std::uint32_t fd);
  /// The same file under one more number.
  void put_descriptor(GuestVirtual task, std::uint32_t fd, GuestVirtual file);
  /// Moves the task's descriptors to a table of its own with room for `slots`.
  void grow_descriptors(GuestVirtual task, std::uint32_t slots);
  /// Mounts a new file system at a path; what is below it is new.
  void mount_at(std::string_view path);
  /// A struct file for the path.
  GuestVirtual open_file(std::string_view path);

  [[nodiscard]] GuestVirtual init_task() const { return init_task_; }
  [[nodiscard]] GuestVirtual init_process() const { return init_process_; }
  [[nodiscard]] GuestVirtual init_net() const { return init_net_; }
  [[nodiscard]] GuestVirtual established_table() const { return established_; }
  [[nodiscard]] GuestImageBuilder &builder() { return builder_; }
  [[nodiscard]] const GuestImageBuilder &builder() const { return builder_; }
  [[nodiscard]] FakeTypeTable &types() { return types_; }
  /// What a signal is sent by: functions with and without a landing pad, and the way back from an
  /// interrupt; with the symbols of text's ends.
  void add_signal_code();
  [[nodiscard]] FakeSymbolTable &symbols() { return symbols_; }

  /// Where a member lies; 0 when the type has none of that name.
  [[nodiscard]] GuestVirtual at(GuestVirtual object, std::string_view type,
                                std::string_view member) const;
  /// Writes a member with the width that it has.
  void set(GuestVirtual object, std::string_view type, std::string_view member,
           std::uint64_t value);
  [[nodiscard]] std::uint64_t get(GuestVirtual object, std::string_view type,
                                  std::string_view member);
  /// Adds a member behind all others. Objects made before have zeros there: a gap follows each.
  void grow(std::string_view type, std::string_view member, std::uint32_t size);
  /// A table of the first `buckets`, a power of two; with one, every hash names the right bucket.
  void shrink_established(std::uint32_t buckets);
  /// The dentry of a path, made where there is none.
  GuestVirtual dentry(std::string_view path);
  [[nodiscard]] GuestVirtual root_mount() const { return root_mount_; }

  static constexpr std::uint64_t kBootTimeNs = 1'700'000'000'000'000'000;
  static constexpr std::uint32_t kInitialNamespace = 4026531840;
  static constexpr std::uint32_t kEstablishedBuckets = 512;
  static constexpr std::uint8_t kPendingBit = 2;

private:
  void define_types();
  void define_socket_types();
  void define_context_types();
  void define(std::string_view type,
              const std::vector<std::pair<std::string, std::uint32_t>> &members);
  [[nodiscard]] GuestVirtual make(std::string_view type);
  [[nodiscard]] GuestVirtual make_cgroup(std::string_view path, GuestVirtual hierarchy);
  void make_tables();
  void make_clock();
  void make_context();
  void fill_context(GuestVirtual task, const ProcessSpec &spec);
  void fill_task(GuestVirtual task, const ProcessSpec &spec);
  [[nodiscard]] GuestVirtual make_files();
  [[nodiscard]] GuestVirtual make_mm(const ProcessSpec &spec);
  [[nodiscard]] GuestVirtual make_dentry(std::string_view name, GuestVirtual parent);
  void append(GuestVirtual head, GuestVirtual node);
  void push(GuestVirtual head, GuestVirtual node);
  void fill_common(GuestVirtual sock, const SocketSpec &spec);
  void put_in_table(GuestVirtual sock, const SocketSpec &spec);

  GuestImageBuilder builder_;
  FakeTypeTable types_;
  FakeSymbolTable symbols_;
  GuestVirtual init_task_, init_process_, init_net_, namespaces_;
  GuestVirtual established_, listening_, udp_slots_, raw_v4_, raw_v6_;
  GuestVirtual socket_operations_, root_mount_, root_dentry_;
  GuestVirtual root_cgroup_, init_user_space_, init_pid_space_;
  std::map<std::string, GuestVirtual, std::less<>> dentries_;
  std::map<std::string, GuestVirtual, std::less<>> mounts_;
  std::map<GuestVirtual, GuestVirtual> files_of_sockets_;
  std::uint64_t next_start_ns_ = 1'000'000'000;
  std::uint32_t next_bucket_ = 0, buckets_ = kEstablishedBuckets;
};

} // namespace outguard::guest
