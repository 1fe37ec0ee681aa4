#pragma once
// A SOCK_SEQPACKET Unix socket that carries whole messages and descriptors. Owns its descriptor.
// Received descriptors are close-on-exec. One thread at a time.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace outguard {

class MessageSocket {
public:
  struct Message {
    std::vector<std::uint8_t> bytes;
    std::vector<Fd> fds;
  };

  /// Both ends close-on-exec.
  [[nodiscard]] static Result<std::pair<MessageSocket, MessageSocket>> pair();

  /// Takes messages of at most `largest` bytes with at most `most_fds` descriptors.
  explicit MessageSocket(Fd fd, std::size_t largest = std::size_t{192} * 1024,
                         std::size_t most_fds = 64)
      : fd_(std::move(fd)), largest_(largest), most_fds_(most_fds) {}

  [[nodiscard]] int fd() const { return fd_.get(); }
  /// Gives the descriptor away; the socket is then empty.
  [[nodiscard]] Fd release() && { return std::move(fd_); }

  /// Blocks at most `wait` while the peer's queue is full. `fds` stay the caller's.
  [[nodiscard]] Result<void> send(std::span<const std::uint8_t> bytes, std::span<const int> fds,
                                  std::chrono::milliseconds wait);
  /// nullopt: nothing came within `wait`. Unreachable: the peer is gone. InvalidInput: too large.
  [[nodiscard]] Result<std::optional<Message>> receive(std::chrono::milliseconds wait);

private:
  Fd fd_;
  std::size_t largest_;
  std::size_t most_fds_;
  std::unique_ptr<std::uint8_t[]> room_; ///< for one message, once one has come
};

} // namespace outguard
