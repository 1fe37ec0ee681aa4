#pragma once
// The intelligence in force, and who has it already. The keeper publishes, the guards take; neither
// waits for the other. Any thread.

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "base/clock.h"
#include "base/fd.h"

namespace outguard::daemon {

/// Sealed images; null: none. An image that was taken lives as long as somebody has it.
struct IntelInForce {
  std::shared_ptr<const Fd> image, delta;
  bool delta_adds = false;        ///< also without an image there is something to match
  std::uint64_t number = 0;       ///< of this state; every publication has a higher one
  std::uint64_t image_number = 0; ///< of the state in which the image came
};

class IntelBoard {
public:
  /// What is told once every sensor has it: "WORDS, 34 ms", counted from `since`.
  struct Note {
    std::string words;
    MonotonicTime since;
  };

  /// The delta stays: it says what is added and removed whatever the image.
  void publish_image(Fd image, Note note);
  /// None: nothing is added or removed any more.
  void publish_delta(std::shared_ptr<const Fd> delta, bool adds, Note note);

  [[nodiscard]] IntelInForce now() const;
  /// Blocks until there is another state than `number`, or `stop`, or `wait` is over; false: no
  /// other.
  [[nodiscard]] bool wait_for_other(std::uint64_t number, std::chrono::milliseconds wait,
                                    std::stop_token stop);

  /// The sensor of `taker`, whoever that is, has state `number` in force; the first time it joins.
  void took(const void *taker, std::uint64_t number);
  /// It has no sensor any more.
  void left(const void *taker);

private:
  void publish(const std::unique_lock<std::mutex> &held, Note note);
  /// Tells `note_` if nobody is missing.
  void tell_if_all(const std::unique_lock<std::mutex> &held);

  mutable std::mutex mutex_; ///< guards all below
  std::condition_variable_any changed_;
  IntelInForce now_;
  std::map<const void *, std::uint64_t> takers_;
  std::optional<Note> note_; ///< not told yet
};

} // namespace outguard::daemon
