#pragma once
// One pass along a kernel list. list_head, hlist and hlist_nulls are walked alike: in all three a
// node is {next, back}, and `back` is the address of the node (or head) before it. That second link
// is what shows a wild pointer or a list that moved under us, without remembering what was visited;
// one node remembered, of ever later ones (Brent), shows a cycle whose links agree.

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
  /// Starts at the node that `first` points to. Only `end` ends the list: `head` again (list_head),
  /// null (hlist), or the bucket's own marker (hlist_nulls; another's means that a node moved to
  /// another chain under us). nullopt: the marker is not known, null and any odd value will do.
  ListWalk(KernelReader &reader, GuestVirtual head, GuestVirtual first,
           std::optional<GuestVirtual> end)
      : reader_(&reader), end_(end), from_(head), node_(first) {}

  /// Copies the next object whose node is its `link`; false at the end, or when the walk was given
  /// up. Where copying is another's, the parts:
  [[nodiscard]] bool next(ObjectCopy &object, const Member &link, Completeness &completeness);
  /// The node to copy now; nullopt at the end, or when the walk was given up (see completeness).
  [[nodiscard]] std::optional<GuestVirtual> node(Completeness &completeness);
  /// Where it stands, an address or a marker.
  [[nodiscard]] GuestVirtual position() const { return node_; }
  /// Null or odd: no node is there.
  [[nodiscard]] static bool is_marker(GuestVirtual value) {
    return value.is_null() || (value.raw() & 1) != 0;
  }
  /// Tells the links found in that copy. False: the list moved, drop the copy; node() has another.
  [[nodiscard]] bool accept(ListLinks links, Completeness &completeness);
  /// The copy could not be made.
  void give_up(Fault where, Completeness &completeness);

private:
  void break_off(Completeness &completeness);

  KernelReader *reader_;
  std::optional<GuestVirtual> end_;
  GuestVirtual from_; ///< the node before node_
  GuestVirtual node_;
  GuestVirtual checkpoint_; ///< a node that was accepted; null: none yet
  std::uint64_t accepted_ = 0;
  std::uint64_t next_checkpoint_ = 1; ///< the one to remember next, counted
  int retries_ = 0;
  bool mismatch_tolerated_ = false;
  bool ended_ = false;
};

} // namespace outguard::guest
