#include "store/line_output.h"

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string_view>
#include <thread>

#include <poll.h>
#include <unistd.h>

namespace outguard::store {

namespace {

constexpr std::chrono::milliseconds kLastMoment{500};

/// False: nobody reads any more. What a full disk does not take is lost.
bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const auto written = ::write(fd, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) {
      pollfd room{fd, POLLOUT, 0};
      static_cast<void>(::poll(&room, 1, -1));
    } else if (errno != EINTR) {
      return errno != EPIPE;
    }
  }
  return true;
}

} // namespace

struct LineOutput::State {
  std::mutex mutex; ///< guards all below; never held while something is written
  std::condition_variable changed;
  std::deque<std::string> lines;
  std::size_t bytes = 0; ///< of `lines`, and of what is being written
  bool broken = false;
  bool ending = false;
  bool ended = false;
};

LineOutput::LineOutput(int fd) : state_(std::make_shared<State>()) {
  std::thread([state = state_, fd] {
    std::unique_lock lock(state->mutex);
    while (true) {
      state->changed.wait(lock, [&] { return state->ending || !state->lines.empty(); });
      if (state->lines.empty() || state->broken) {
        break;
      }
      const auto line = std::move(state->lines.front());
      state->lines.pop_front();
      lock.unlock();
      const bool done = write_all(fd, line);
      lock.lock();
      state->bytes -= line.size();
      state->broken = !done;
    }
    state->ended = true;
    state->changed.notify_all();
  }).detach();
}

LineOutput::~LineOutput() {
  std::unique_lock lock(state_->mutex);
  state_->ending = true;
  state_->changed.notify_all();
  state_->changed.wait_for(lock, kLastMoment, [&] { return state_->ended; });
}

bool LineOutput::write(std::string line) {
  line += '\n';
  const std::lock_guard lock(state_->mutex);
  if (state_->broken || state_->bytes + line.size() > kMostBytes) {
    return false;
  }
  state_->bytes += line.size();
  state_->lines.push_back(std::move(line));
  state_->changed.notify_all();
  return true;
}

} // namespace outguard::store
