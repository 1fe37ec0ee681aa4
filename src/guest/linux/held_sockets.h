#pragma once
// Sockets that a process can reach without a descriptor of their own: in a message that waits for
// it on a unix socket (SCM_RIGHTS), registered with an io_uring, and the TCP subflows under an
// MPTCP socket. All of these can lie in one another, cycles included. epoll is not among them: it
// holds no reference (fs/eventpoll.c: eventpoll_release), so what it watches always has a
// descriptor, or is in one of these. Bound by itself: a kernel without one of the forms below loses
// just that one.

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "guest/linux/completeness.h"
#include "guest/linux/descriptor_walker.h"
#include "guest/linux/kernel_reader.h"
#include "guest/linux/linux_layout.h"
#include "guest/linux/task_list.h"

namespace outguard::guest {

/// Offsets out of the running kernel's types.
struct HoldingLayout {
  struct Messages {
    Member queue; ///< sock.sk_receive_queue, shaped like a list_head
    Extent buffer;
    Member buffer_links, buffer_sock, buffer_files; ///< of sk_buff
    Extent files;
    Member file_count, file_slots; ///< of scm_fp_list; the latter its place, not in the extent
  };
  struct Ring {
    Extent ring;
    Member slots, count;             ///< of io_ring_ctx
    std::optional<Member> node_file; ///< since 6.13 a slot leads to an io_rsrc_node with the file
  };
  /// Rings that a task uses without a descriptor (IORING_REGISTER_RING_FDS, 5.18).
  struct TaskRings {
    Member of_task, slots;
  };
  struct Multipath {
    Member subflows;
    std::uint32_t node_offset = 0; ///< of mptcp_subflow_context
    Extent context;
    Member node, sock;
  };
  std::optional<Messages> messages;
  std::optional<Ring> ring;
  std::optional<TaskRings> task_rings;
  std::optional<Multipath> multipath;
  /// Of these what the kernel has in a form not known, each with the member that it lacks.
  std::vector<std::string> lacking;

  [[nodiscard]] static HoldingLayout bind(const TypeTable &types);
};

class HeldSockets {
public:
  HeldSockets(const LinuxLayout &layout, const TaskList &tasks, const DescriptorWalker &descriptors,
              const TypeTable &types)
      : layout_(layout), tasks_(tasks), descriptors_(descriptors),
        holding_(HoldingLayout::bind(types)) {}

  /// All that can be reached from the descriptors `direct`, each with the process that can, and the
  /// descriptor that leads there. A subflow's `socket` is its parent's.
  [[nodiscard]] std::vector<Holder> find(std::span<const Holder> direct,
                                         std::span<const Task> leaders, KernelReader &reader,
                                         Completeness &completeness) const;

private:
  class Search;

  const LinuxLayout &layout_;
  const TaskList &tasks_;
  const DescriptorWalker &descriptors_;
  HoldingLayout holding_;
};

} // namespace outguard::guest
