#include "respond/guarded_work.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <new>

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"

namespace outguard::respond {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kMendTime{5000}; ///< QEMU answers in milliseconds, or not at all

/// A message in one write below PIPE_BUF, so whole or not at all.
struct Message {
  bool finished = false; ///< else: how the keeper mended
  std::uint8_t status = 0;
  std::uint32_t index = 0;
  std::int64_t paused_ns = 0, took_ns = 0;
  std::array<char, 384> text{};
};
static_assert(sizeof(Message) <= 512);

void put_text(Message &message, const std::string &text) {
  std::memcpy(message.text.data(), text.data(), std::min(text.size(), message.text.size() - 1));
}

void tell(int pipe, const Message &message) {
  // The reader may be gone: then nobody is left to tell.
  (void)!::write(pipe, &message, sizeof message);
}

/// What outlives each of the processes: has the worker begun to change the VM?
class Begun {
public:
  Begun()
      : page_(::mmap(nullptr, sizeof(std::atomic<bool>), PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
    if (page_ != MAP_FAILED) {
      flag_ = new (page_) std::atomic<bool>(false);
    }
  }
  ~Begun() {
    if (page_ != MAP_FAILED) {
      ::munmap(page_, sizeof(std::atomic<bool>));
    }
  }
  Begun(const Begun &) = delete;
  Begun &operator=(const Begun &) = delete;
  [[nodiscard]] std::atomic<bool> *flag() const { return flag_; }

private:
  void *page_;
  std::atomic<bool> *flag_ = nullptr;
};

/// A service manager stops the whole group: these short lives go on to their end, or to `time`.
void outlive_signals(milliseconds time) {
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGPIPE}) {
    (void)::signal(number, SIG_IGN);
  }
  (void)::signal(SIGALRM, SIG_DFL);
  sigset_t alarm_only;
  ::sigemptyset(&alarm_only);
  ::sigaddset(&alarm_only, SIGALRM);
  ::sigprocmask(SIG_UNBLOCK, &alarm_only, nullptr);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time);
  const auto rest = std::chrono::microseconds(time - seconds);
  const itimerval limit{{0, 0}, {seconds.count(), rest.count()}};
  ::setitimer(ITIMER_REAL, &limit, nullptr);
}

[[noreturn]] void work_and_tell(int pipe, const GuardedWork &work, std::atomic<bool> &begun) {
  outlive_signals(work.time);
  const WorkReport report = work.carry_out([&] { begun = true; });
  Message message;
  message.finished = true;
  message.status = report.status;
  message.index = report.index;
  message.paused_ns = report.paused.count();
  message.took_ns = report.took.count();
  put_text(message, report.reason);
  tell(pipe, message);
  ::_exit(0);
}

std::string mend(const GuardedWork &work, bool begun) {
  if (!begun) {
    return "; nothing was begun";
  }
  const auto mended = work.mend();
  return mended ? std::string("; ") + work.mended
                : "; the VM may be left paused: " + mended.error().message;
}

/// Collects `child`; true: it ended by itself.
bool wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) {
      return false;
    }
  }
  return WIFEXITED(status);
}

[[noreturn]] void keep(int pipe, const GuardedWork &work, std::atomic<bool> &begun) {
  outlive_signals(work.time + kMendTime);
  const pid_t worker = ::fork();
  if (worker == 0) {
    work_and_tell(pipe, work, begun);
  }
  if (worker < 0 || !wait_for(worker)) {
    Message message;
    put_text(message, mend(work, begun));
    tell(pipe, message);
  }
  ::_exit(0);
}

/// nullopt: all children are gone, or the time is over.
std::optional<Message> listen(int pipe, MonotonicTime deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - monotonic_now()).count();
    pollfd waiting{pipe, POLLIN, 0};
    const int ready = left <= 0 ? 0 : ::poll(&waiting, 1, static_cast<int>(left));
    if (ready == 0) {
      return std::nullopt;
    }
    Message message;
    const ssize_t got = ready < 0 ? -1 : ::read(pipe, &message, sizeof message);
    if (got == static_cast<ssize_t>(sizeof message)) {
      message.text.back() = '\0';
      return message;
    }
    if (got >= 0 || errno != EINTR) {
      return std::nullopt;
    }
  }
}

GuardedOutcome not_begun(const char *what) {
  return {std::nullopt, fail_errno(what).value().message};
}

} // namespace

GuardedOutcome run_guarded(const GuardedWork &work) {
  const Begun begun;
  std::array<int, 2> ends{};
  if (begun.flag() == nullptr || ::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return not_begun("pipe");
  }
  const Fd reading(ends[0]);
  Fd writing(ends[1]);
  const pid_t keeper = ::fork();
  if (keeper < 0) {
    return not_begun("fork");
  }
  if (keeper == 0) {
    keep(writing.get(), work, *begun.flag());
  }
  writing.reset();

  const auto message = listen(reading.get(), monotonic_now() + work.time + 2 * kMendTime);
  if (!message) {
    (void)::kill(keeper, SIGKILL); // not collected yet, so the number is still its own
  }
  (void)wait_for(keeper);
  if (message && message->finished) {
    return {WorkReport{message->status, message->index,
                       std::chrono::nanoseconds(message->paused_ns),
                       std::chrono::nanoseconds(message->took_ns), message->text.data()},
            {}};
  }
  return {std::nullopt,
          "the process that carries it out died" +
              (message ? std::string(message->text.data()) : mend(work, *begun.flag()))};
}

} // namespace outguard::respond
