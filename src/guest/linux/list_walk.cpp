#include "guest/linux/list_walk.h"

namespace outguard::guest {
namespace {

constexpr int kMostRetries = 3;

Member half(const Member &links, std::uint32_t index) {
  return {links.offset + index * 8, 8, 0, 0};
}

} // namespace

ListLinks links_of(const ObjectCopy &object, const Member &member) {
  return {object.pointer(half(member, 0)), object.pointer(half(member, 1))};
}

bool ListWalk::next(ObjectCopy &object, const Member &link, Completeness &completeness) {
  while (const auto at = node(completeness)) {
    if (const auto loaded = object.load(*reader_, at->minus_wrapping(link.offset)); !loaded) {
      give_up(loaded.error(), completeness);
    } else if (accept(links_of(object, link), completeness)) {
      return true;
    }
  }
  return false;
}

std::optional<GuestVirtual> ListWalk::node(Completeness &completeness) {
  if (ended_ || node_ == end_ || (!end_ && is_marker(node_))) {
    return std::nullopt;
  }
  if (is_marker(node_)) {
    break_off(completeness);
    return std::nullopt;
  }
  if (reader_->budget().exhausted() || !reader_->step()) {
    give_up({FaultCode::LimitReached, node_.raw()}, completeness);
    return std::nullopt;
  }
  return node_;
}

bool ListWalk::accept(ListLinks links, Completeness &completeness) {
  if (links.back != from_) {
    if (retries_ < kMostRetries) {
      ++retries_;
      reader_->renew();
      const auto again = reader_->pointer(from_);
      if (!again) {
        give_up(again.error(), completeness);
      } else {
        node_ = *again;
      }
      return false;
    }
    // An insertion or removal half done (the guest may stand still in the middle of it) leaves one
    // wrong back link. A second one is a cycle or a lie.
    if (mismatch_tolerated_) {
      break_off(completeness);
      return false;
    }
    mismatch_tolerated_ = true;
  }
  retries_ = 0;
  if (node_ == checkpoint_) { // again, with a back link that agrees
    break_off(completeness);
    return false;
  }
  if (++accepted_ == next_checkpoint_) {
    checkpoint_ = node_;
    next_checkpoint_ *= 2;
  }
  from_ = node_;
  node_ = links.next;
  return true;
}

void ListWalk::break_off(Completeness &completeness) {
  ended_ = true;
  reader_->renew(); // for who walks it again
  completeness.lost(PartialReason::ListBroken, {FaultCode::Malformed, node_.raw()});
}

void ListWalk::give_up(Fault where, Completeness &completeness) {
  ended_ = true;
  reader_->renew();
  completeness.lost(where);
}

} // namespace outguard::guest
