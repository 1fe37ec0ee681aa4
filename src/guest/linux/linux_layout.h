#pragma once
// Where the kernel keeps what the walkers read: all offsets, bound once at attach from the running
// kernel's own types. No version tables. Immutable, plain values.

#include <optional>
#include <string>

#include "guest/linux/struct_binder.h"
#include "guest/symbols/symbol_table.h"

namespace outguard::guest {

struct TaskLayout {
  Extent extent;
  Member state, exit_state, flags, tasks, thread_node, pid, tgid, start_boottime, comm;
  Member mm, files, fs, nsproxy, real_cred, real_parent, signal, sighand;
  std::optional<Member> thread_pid, css_set;
  std::optional<Member> name_lock; ///< alloc_lock, not 0 while comm is written (until 6.13)
  Member thread_flags, pending;    ///< outside the extent: only a kill needs them
  Extent identity;                 ///< pid, tgid, start_boottime and mm alone
};

struct ProcessLayout {
  Extent mm;
  Member mm_pgd, mm_exe_file, mm_arg_start, mm_arg_end;
  Extent fs;
  Member fs_root_mount, fs_root_dentry;
};

struct SignalLayout {
  Extent signal;
  Member flags, nr_threads;
  Member thread_head;         ///< outside the extent
  std::optional<Member> lock; ///< of sighand_struct, the word that is 0 while siglock is free
};

struct PathLayout {
  Extent dentry; ///< all of it: short names lie inside
  Member dentry_parent, dentry_name, dentry_name_length, dentry_unhashed, dentry_operations;
  Extent mount;
  Member mount_parent, mount_point, mount_root;
  std::uint32_t mount_to_vfsmount = 0; ///< offset of struct vfsmount in struct mount
};

struct FileLayout {
  Extent file;
  Member operations, inode, private_data, path_mount, path_dentry;
  Extent inode_extent;
  Member inode_mode;
  Extent files;
  Member files_table, files_first_table; ///< the latter two: parts of files_struct
  Extent table;
  Member table_size, table_slots, table_open;
};

struct SocketLayout {
  Extent socket; ///< of socket_alloc
  Member socket_file, socket_sock, socket_inode;
  std::uint32_t socket_in_alloc = 0; ///< offset of struct socket in struct socket_alloc
  Extent sock;
  Extent sock_common; ///< all that a minisock has of it
  Member protocol, type, socket_of_sock;
  Member node, family, state, local_port, remote_port, local_v4, remote_v4, local_v6, remote_v6,
      net;
  std::optional<Member> ipv6_only;                ///< of sock_common
  std::optional<Member> uid;                      ///< sk_uid
  std::optional<Member> lock_word, lock_is_owned; ///< of sk_lock: not 0 while it changes its state
  Member timewait_substate; ///< of inet_timewait_sock, relative to the same address
};

struct TableLayout {
  Extent net;
  Member net_list, net_inode;
  std::optional<Member> net_tcp, net_udp; ///< since 6.1 / 6.2 a namespace may have its own
  Extent hashinfo;
  Member established, established_mask;
  std::optional<Member> listening; ///< until 5.18: an array inside; after: by pointer
  Member listening2, listening2_mask;
  std::uint32_t listen_bucket_size = 0, listen_bucket_head = 0;
  std::uint32_t established_bucket_size = 0;
  Extent udp;
  Member udp_slots, udp_mask;
  std::uint32_t udp_slot_size = 0, udp_slot_head = 0;
  Member raw_slots;                 ///< an array of heads inside raw_hashinfo
  std::optional<Member> ping_slots; ///< the same inside ping_table
};

struct ClockLayout {
  Extent timekeeper;
  Member real_offset, boot_offset, wall_seconds, wall_nanoseconds;
};

struct LinuxLayout {
  TaskLayout task;
  ProcessLayout process;
  SignalLayout signal;
  PathLayout path;
  FileLayout file;
  SocketLayout socket;
  TableLayout table;
  ClockLayout clock;

  /// Fails with the first missing member, "task_struct.signal".
  [[nodiscard]] static tl::expected<LinuxLayout, std::string> bind(const TypeTable &types);
};

} // namespace outguard::guest
