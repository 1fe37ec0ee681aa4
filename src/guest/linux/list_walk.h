#pragma once
// One pass along a kernel list. list_head, hlist and hlist_nulls are walked alike: in all three a
// node is {next, back}, and `back` is the address of the node (or head) before it. That second link
// is what shows a cycle, a wild pointer or a list that moved under us, without remembering what was
// visited.

#include <cstdint>
#include <optional>

#include "guest/bytes/address.h"
#include "guest/linux/completeness.h"
#include "guest/linux/kernel_reader.h"

namespace outguard::guest {

struct ListLinks {
  GuestVirtual next;
  GuestVirtual back;
};
inline constexpr std::uint32_t kListLinkBytes = 16;

/// The links out of an object's copy; `member` has kListLinkBytes.
[[nodiscard]] ListLinks links_of(const ObjectCopy &object, const Member &member);

class ListWalk {
public:
  /// Starts at the node that `first` points to. The list ends at `head` again (list_head), at null
  /// (hlist), or at an odd value (hlist_nulls).
  ListWalk(KernelReader &reader, GuestVirtual head, GuestVirtual first)
      : reader_(reader), head_(head), from_(head), node_(first) {}

  /// The node to copy now; nullopt at the end, or when the walk was given up (see completeness).
  [[nodiscard]] std::optional<GuestVirtual> node(Completeness &completeness);
  /// Tells the links found in that copy. False: the list moved, drop the copy; node() has another.
  [[nodiscard]] bool accept(ListLinks links, Completeness &completeness);
  /// The copy could not be made.
  void give_up(Fault where, Completeness &completeness);

private:
  KernelReader &reader_;
  GuestVirtual head_;
  GuestVirtual from_; ///< the node before node_
  GuestVirtual node_;
  int retries_ = 0;
  bool mismatch_tolerated_ = false;
  bool ended_ = false;
};

} // namespace outguard::guest
