#pragma once
// Lines to a descriptor that may be slow, stopped (Ctrl-S) or read by nobody: who has something to
// say never waits for it. A bounded queue and a thread. Any thread may write.

#include <cstdint>
#include <memory>
#include <string>

namespace outguard::store {

class LineOutput {
public:
  static constexpr std::size_t kMostBytes = std::size_t{4}
                                            << 20; ///< that wait; further are dropped

  /// `fd` must stay open, and SIGPIPE be ignored. It is not made non-blocking: others may share it.
  explicit LineOutput(int fd);
  /// Gives what still waits a moment.
  ~LineOutput();
  LineOutput(const LineOutput &) = delete;
  LineOutput &operator=(const LineOutput &) = delete;

  /// Adds the line feed. False: too much waits, or nobody reads any more; it is dropped.
  bool write(std::string line);

private:
  struct State;
  const std::shared_ptr<State> state_; ///< the thread's too: a write that never returns outlives us
};

} // namespace outguard::store
