#include "guest/linux/held_sockets.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "guest/linux/list_walk.h"
#include "guest/linux/sock.h"

namespace outguard::guest {
namespace {

constexpr std::uint64_t kFamilyUnix = 1;          // AF_UNIX
constexpr std::uint64_t kProtocolMultipath = 262; // IPPROTO_MPTCP
constexpr std::uint32_t kPointerBytes = 8;
constexpr std::size_t kMostMessages =
    4096;                                 ///< of one queue; net.unix.max_dgram_qlen is 512 at most
constexpr std::uint64_t kMostFiles = 253; ///< of one message: the kernel's SCM_MAX_FD
constexpr std::uint64_t kMostSlots = std::uint64_t{1}
                                     << 15;              ///< the kernel's IORING_MAX_FIXED_FILES
constexpr std::size_t kMostRings = 16;                   ///< its IO_RINGFD_REG_MAX
constexpr std::size_t kMostFound = std::size_t{1} << 14; ///< in one search
/// A file stands on a multiple of 8; io_uring keeps flags below (io_uring/filetable.h, FFS_MASK).
constexpr std::uint64_t kFileMask = ~std::uint64_t{7};

} // namespace

HoldingLayout HoldingLayout::bind(const TypeTable &types) {
  HoldingLayout result;
  const auto when_whole = [&](const char *form, const std::string &missing, auto &into,
                              const auto &layout) {
    if (missing.empty()) {
      into = layout;
    } else {
      result.lacking.push_back(std::string(form) + ": the kernel lacks " + missing);
    }
  };
  {
    std::string missing;
    const auto of = [&](std::string_view type) { return StructBinder(types, type, missing); };
    Messages layout;
    layout.queue = of("sock").bytes("sk_receive_queue.next", kPointerBytes);
    auto buffer = of("sk_buff");
    layout.buffer_links = buffer.pointer("next");
    layout.buffer_links.size = kListLinkBytes;
    buffer.include(layout.buffer_links);
    layout.buffer_sock = buffer.pointer("sk");
    layout.buffer_files = of("unix_skb_parms").pointer("fp"); // laid over sk_buff.cb
    layout.buffer_files.offset += of("sk_buff").place("cb").offset;
    buffer.include(layout.buffer_files);
    layout.buffer = buffer.extent();
    auto files = of("scm_fp_list");
    layout.file_count = files.number("count");
    layout.file_slots = files.place("fp");
    layout.files = files.extent();
    when_whole("sockets in messages", missing, result.messages, layout);
  }
  if (types.size_of("io_ring_ctx")) {
    std::string missing;
    Ring layout;
    StructBinder ring(types, "io_ring_ctx", missing);
    if (const auto nodes = ring.optional_member("file_table.data.nodes", kPointerBytes)) {
      layout.slots = *nodes; // 6.13
      layout.count = ring.number("file_table.data.nr");
      layout.node_file = StructBinder(types, "io_rsrc_node", missing).number("file_ptr");
    } else { // 5.15, and 5.10 as distributions have it by now
      layout.slots = ring.pointer("file_table.files");
      layout.count = ring.number("nr_user_files");
      static_cast<void>(StructBinder(types, "io_fixed_file", missing).number("file_ptr"));
    }
    layout.ring = ring.extent();
    when_whole("sockets in io_urings", missing, result.ring, layout);
  }
  {
    std::string missing;
    TaskRings layout;
    layout.of_task = StructBinder(types, "task_struct", missing).pointer("io_uring");
    layout.slots = StructBinder(types, "io_uring_task", missing).place("registered_rings");
    if (missing.empty()) { // else before 5.18: there is nothing to miss
      result.task_rings = layout;
    }
  }
  if (types.size_of("mptcp_sock")) {
    std::string missing;
    Multipath layout;
    layout.subflows = StructBinder(types, "mptcp_sock", missing).bytes("conn_list", kListLinkBytes);
    StructBinder context(types, "mptcp_subflow_context", missing);
    layout.node = context.bytes("node", kListLinkBytes);
    layout.sock = context.pointer("tcp_sock");
    layout.context = context.extent();
    when_whole("MPTCP subflows", missing, result.multipath, layout);
  }
  return result;
}

/// One search. What a container holds is read once, however many processes hold the container.
class HeldSockets::Search {
public:
  Search(const HeldSockets &held, KernelReader &reader, Completeness &completeness)
      : layout_(held.layout_), holding_(held.holding_), descriptors_(held.descriptors_),
        reader_(reader), completeness_(completeness), sock_(sock_extent(held.layout_.socket)) {}

  /// Everything below a descriptor; nothing twice for one process.
  void follow(const Holder &root);
  void follow_rings_of(const Task &task, std::uint32_t leader, Member of_task, Member slots);
  [[nodiscard]] std::vector<Holder> finish() { return std::move(found_); }

private:
  using Held = std::vector<Holder>; ///< leader and descriptor are filled in by follow()

  [[nodiscard]] static Extent sock_extent(const SocketLayout &layout) {
    return {std::min(layout.sock_common.begin, layout.sock.begin), layout.sock.end};
  }
  [[nodiscard]] const Held &inside(const Holder &container);
  [[nodiscard]] Held read_inside(const Holder &container);
  void add_messages(GuestVirtual sock, bool is_listener, Held &held);
  void add_message_files(GuestVirtual list, Held &held);
  void add_ring(GuestVirtual ring, Held &held);
  void add_subflows(const Holder &parent, Held &held);
  /// Those of the pointers in [first, +count) that lead to sockets or io_urings.
  void add_files(GuestVirtual first, std::uint64_t count, Hold hold, Held &held);
  void add_file(GuestVirtual slot, GuestVirtual file, Hold hold, Held &held);

  const LinuxLayout &layout_;
  const HoldingLayout &holding_;
  const DescriptorWalker &descriptors_;
  KernelReader &reader_;
  Completeness &completeness_;
  ObjectCopy sock_;
  std::map<GuestVirtual, Held> known_;                       ///< by sock, or by io_ring_ctx
  std::set<std::pair<std::uint32_t, GuestVirtual>> entered_; ///< leader and container
  std::vector<Holder> found_;
};

void HeldSockets::Search::follow(const Holder &root) {
  std::vector<Holder> left{root};
  while (!left.empty()) {
    const Holder at = left.back();
    left.pop_back();
    const GuestVirtual key = at.is_io_uring() ? at.socket : at.sock;
    if (!entered_.emplace(at.leader, key).second || !reader_.step()) {
      continue;
    }
    for (Holder held : inside(at)) {
      if (found_.size() == kMostFound) {
        completeness_.lost({FaultCode::LimitReached, held.slot.raw()});
        return;
      }
      held.leader = root.leader;
      held.fd = root.fd;
      left.push_back(held);
      if (!held.is_io_uring()) {
        found_.push_back(held);
      }
    }
  }
}

const HeldSockets::Search::Held &HeldSockets::Search::inside(const Holder &container) {
  const GuestVirtual key = container.is_io_uring() ? container.socket : container.sock;
  const auto known = known_.find(key);
  return known != known_.end() ? known->second
                               : known_.emplace(key, read_inside(container)).first->second;
}

HeldSockets::Search::Held HeldSockets::Search::read_inside(const Holder &container) {
  Held held;
  if (container.is_io_uring()) {
    add_ring(container.socket, held);
    return held;
  }
  if (const auto loaded = sock_.load(reader_, container.sock); !loaded) {
    completeness_.lost(loaded.error());
    return held;
  }
  const std::uint64_t family = sock_.number(layout_.socket.family);
  const bool is_ip = family == kFamilyInet || family == kFamilyInet6;
  if (family == kFamilyUnix) {
    add_messages(container.sock,
                 state_from(sock_.number(layout_.socket.state)) == SocketState::Listen, held);
  } else if (is_ip && sock_.number(layout_.socket.protocol) == kProtocolMultipath) {
    add_subflows(container, held);
  }
  return held;
}

void HeldSockets::Search::add_messages(GuestVirtual sock, bool is_listener, Held &held) {
  if (!holding_.messages) {
    completeness_.lost(PartialReason::HoldersUnknown, {FaultCode::NotFound, sock.raw()});
    return;
  }
  const HoldingLayout::Messages &layout = *holding_.messages;
  const GuestVirtual head = sock.plus_wrapping(layout.queue.offset);
  const auto first = reader_.pointer(head);
  if (!first) {
    completeness_.lost(first.error());
    return;
  }
  std::vector<GuestVirtual> not_accepted;
  ObjectCopy buffer(layout.buffer);
  ListWalk walk(reader_, head, *first, head);
  for (std::size_t count = 0; walk.next(buffer, layout.buffer_links, completeness_); ++count) {
    if (count == kMostMessages) {
      walk.give_up({FaultCode::LimitReached, buffer.address().raw()}, completeness_);
    } else if (is_listener) { // each waits for accept(2) and has messages of its own
      not_accepted.push_back(buffer.pointer(layout.buffer_sock));
    } else if (const auto list = buffer.pointer(layout.buffer_files); !list.is_null()) {
      add_message_files(list, held);
    }
  }
  for (const GuestVirtual child : not_accepted) {
    if (!child.is_null() && child != sock) {
      add_messages(child, false, held);
    }
  }
}

void HeldSockets::Search::add_message_files(GuestVirtual list, Held &held) {
  const HoldingLayout::Messages &layout = *holding_.messages;
  ObjectCopy files(layout.files);
  if (const auto loaded = files.load(reader_, list); !loaded) {
    completeness_.lost(loaded.error());
    return;
  }
  const std::uint64_t count = files.number(layout.file_count);
  if (count > kMostFiles) {
    completeness_.lost(PartialReason::KeptChanging, {FaultCode::Malformed, list.raw()});
    return;
  }
  add_files(list.plus_wrapping(layout.file_slots.offset), count, Hold::InFlight, held);
}

void HeldSockets::Search::add_ring(GuestVirtual ring, Held &held) {
  if (!holding_.ring) {
    completeness_.lost(PartialReason::HoldersUnknown, {FaultCode::NotFound, ring.raw()});
    return;
  }
  ObjectCopy copy(holding_.ring->ring);
  if (const auto loaded = copy.load(reader_, ring); !loaded) {
    completeness_.lost(loaded.error());
    return;
  }
  const GuestVirtual slots = copy.pointer(holding_.ring->slots);
  const std::uint64_t count = copy.number(holding_.ring->count);
  if (count == 0 || slots.is_null()) {
    return;
  }
  if (count > kMostSlots) {
    completeness_.lost({FaultCode::LimitReached, ring.raw()});
  }
  add_files(slots, std::min(count, kMostSlots), Hold::IoUring, held);
}

void HeldSockets::Search::add_subflows(const Holder &parent, Held &held) {
  if (!holding_.multipath) {
    completeness_.lost(PartialReason::HoldersUnknown, {FaultCode::NotFound, parent.sock.raw()});
    return;
  }
  const HoldingLayout::Multipath &layout = *holding_.multipath;
  const GuestVirtual head = parent.sock.plus_wrapping(layout.subflows.offset);
  const auto first = reader_.pointer(head);
  if (!first) {
    completeness_.lost(first.error());
    return;
  }
  ObjectCopy context(layout.context);
  ListWalk walk(reader_, head, *first, head);
  for (std::size_t count = 0; walk.next(context, layout.node, completeness_); ++count) {
    if (count == kMostMessages) {
      walk.give_up({FaultCode::LimitReached, context.address().raw()}, completeness_);
    } else {
      held.push_back(parent);
      held.back().sock = context.pointer(layout.sock);
    }
  }
}

void HeldSockets::Search::add_files(GuestVirtual first, std::uint64_t count, Hold hold,
                                    Held &held) {
  std::vector<std::uint64_t> files(count);
  if (const auto read = reader_.words(first, files); !read) {
    completeness_.lost(read.error());
    return;
  }
  for (std::uint64_t index = 0; index < count; ++index) {
    GuestVirtual slot = first.plus_wrapping(index * kPointerBytes);
    std::uint64_t file = files[index];
    if (file != 0 && hold == Hold::IoUring && holding_.ring && holding_.ring->node_file) {
      slot = GuestVirtual(file).plus_wrapping(holding_.ring->node_file->offset);
      const auto inside = reader_.pointer(slot);
      if (!inside) {
        completeness_.lost(inside.error());
        continue;
      }
      file = inside->raw();
    }
    if ((file & kFileMask) != 0) {
      add_file(slot, GuestVirtual(file & kFileMask), hold, held);
    }
  }
}

void HeldSockets::Search::add_file(GuestVirtual slot, GuestVirtual file, Hold hold, Held &held) {
  const auto followed = descriptors_.follow(file, reader_);
  if (!followed) {
    reader_.renew(slot, kPointerBytes);
    const auto now = reader_.pointer(slot);
    if (now && (now->raw() & kFileMask) != file.raw()) {
      return; // taken out meanwhile
    }
    completeness_.lost(followed.error().code == FaultCode::Malformed ? PartialReason::KeptChanging
                                                                     : PartialReason::Unreadable,
                       followed.error());
  } else if (*followed) {
    held.push_back(**followed);
    held.back().slot = slot;
    held.back().hold = hold;
  }
}

void HeldSockets::Search::follow_rings_of(const Task &task, std::uint32_t leader, Member of_task,
                                          Member slots) {
  const auto used = reader_.pointer(task.address.plus_wrapping(of_task.offset));
  if (!used) {
    completeness_.lost(used.error());
    return;
  }
  if (used->is_null()) {
    return;
  }
  Held rings;
  add_files(used->plus_wrapping(slots.offset),
            std::min<std::uint64_t>(slots.size / kPointerBytes, kMostRings), Hold::IoUring, rings);
  for (Holder ring : rings) {
    if (ring.is_io_uring()) {
      ring.leader = leader;
      follow(ring);
    }
  }
}

std::vector<Holder> HeldSockets::find(std::span<const Holder> direct, std::span<const Task> leaders,
                                      KernelReader &reader, Completeness &completeness) const {
  Search search(*this, reader, completeness);
  for (const Holder &holder : direct) {
    search.follow(holder);
  }
  if (holding_.task_rings) {
    for (std::uint32_t index = 0; index < leaders.size(); ++index) {
      const Task &leader = leaders[index];
      if (leader.is_kernel_thread()) {
        continue;
      }
      for (const Task &task :
           leader.is_alone() ? std::vector{leader} : tasks_.threads(leader, reader, completeness)) {
        search.follow_rings_of(task, index, holding_.task_rings->of_task,
                               holding_.task_rings->slots);
      }
    }
  }
  return search.finish();
}

} // namespace outguard::guest
