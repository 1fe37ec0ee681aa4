#include "daemon/intel_board.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/log.h"

namespace outguard::daemon {

void IntelBoard::publish_image(Fd image, Note note) {
  const std::unique_lock held(mutex_);
  now_.image = std::make_shared<const Fd>(std::move(image));
  now_.image_number = now_.number + 1;
  publish(held, std::move(note));
}

void IntelBoard::publish_delta(std::shared_ptr<const Fd> delta, bool adds, Note note) {
  const std::unique_lock held(mutex_);
  now_.delta_adds = adds;
  now_.delta = std::move(delta);
  publish(held, std::move(note));
}

void IntelBoard::publish(const std::unique_lock<std::mutex> &held, Note note) {
  if (note_) {
    log::info(note_->words + "; not in every sensor before the next came");
  }
  ++now_.number;
  note_ = std::move(note);
  tell_if_all(held); // nobody is there
  changed_.notify_all();
}

IntelInForce IntelBoard::now() const {
  const std::lock_guard lock(mutex_);
  return now_;
}

bool IntelBoard::wait_for_other(std::uint64_t number, std::chrono::milliseconds wait,
                                std::stop_token stop) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::move(stop), wait, [&] { return now_.number != number; });
}

void IntelBoard::took(const void *taker, std::uint64_t number) {
  const std::unique_lock held(mutex_);
  takers_[taker] = number;
  tell_if_all(held);
}

void IntelBoard::left(const void *taker) {
  const std::unique_lock held(mutex_);
  takers_.erase(taker);
  tell_if_all(held);
}

void IntelBoard::tell_if_all(const std::unique_lock<std::mutex> &) {
  const bool all = std::all_of(takers_.begin(), takers_.end(),
                               [&](const auto &taker) { return taker.second == now_.number; });
  if (!note_ || !all) {
    return;
  }
  const auto spent =
      std::chrono::duration_cast<std::chrono::milliseconds>(monotonic_now() - note_->since);
  log::info(fmt::format("{}, {} ms, {} sensor{}", note_->words, spent.count(), takers_.size(),
                        takers_.size() == 1 ? "" : "s"));
  note_.reset();
}

} // namespace outguard::daemon
