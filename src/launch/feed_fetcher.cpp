#include "launch/feed_fetcher.h"

#include <algorithm>
#include <csignal>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "launch/child_program.h"

namespace outguard::launch {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kSendWait{5'000};
constexpr milliseconds kGrace{15'000}; ///< beyond the fetch's own limit: starting, ending
constexpr milliseconds kTick{200};
constexpr const char *kName = "outguard-fetch";

/// Ends the process with itself.
class Fetcher {
public:
  explicit Fetcher(ChildProgram child) : child_(std::move(child)) {}
  ~Fetcher() {
    ::kill(child_.pid, SIGKILL);
    ::waitpid(child_.pid, nullptr, 0);
  }
  Fetcher(const Fetcher &) = delete;
  Fetcher &operator=(const Fetcher &) = delete;

  Result<FeedFetched> ask(const FetchFeed &request, std::span<const int> fds,
                          const std::stop_token &stop) {
    if (auto sent = child_.control.send(encode(request), fds, kSendWait); !sent) {
      return tl::unexpected(sent.error());
    }
    const auto most = std::min<std::uint64_t>(request.limits.total_ns / 1'000'000, 86'400'000);
    const auto deadline = monotonic_now() + milliseconds(most) + kGrace;
    while (!stop.stop_requested()) {
      auto message = child_.control.receive(kTick);
      if (!message) {
        ::kill(child_.pid, SIGKILL); // its end is closed or broken: there is nothing to wait for
        return message.error().code == ErrorCode::Unreachable
                   ? fail(ErrorCode::Unreachable, epitaph(child_.pid, kName))
                   : tl::unexpected(message.error());
      }
      if (*message) {
        auto answer = decode_fetched((*message)->bytes);
        return answer ? Result<FeedFetched>(std::move(*answer))
                      : fail(ErrorCode::InvalidInput, "outguard-fetch sent a malformed answer");
      }
      if (monotonic_now() > deadline) {
        return fail(ErrorCode::Timeout, "outguard-fetch did not answer in time");
      }
    }
    return fail(ErrorCode::Timeout, "the fetch was stopped");
  }

private:
  ChildProgram child_;
};

/// The answer is believed about the body's size only after a look.
Result<void> seal(const Fd &body, const FeedFetched &answer) {
  struct stat about {};
  if (::fcntl(body.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) !=
          0 ||
      ::fstat(body.get(), &about) != 0) {
    return fail_errno("sealing the feed");
  }
  if (static_cast<std::uint64_t>(about.st_size) != answer.bytes) {
    return fail(ErrorCode::InvalidInput, "outguard-fetch wrote another size than it says");
  }
  return {};
}

} // namespace

Result<FetchedFeed> fetch_feed(const FetchFeed &request, const Fd &previous,
                               const std::stop_token &stop) {
  Fd body(::memfd_create("outguard-feed", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!body) {
    return fail_errno("memfd_create");
  }
  auto child = start_child(kName, "one");
  if (!child) {
    return tl::unexpected(child.error());
  }
  const int fds[] = {body.get(), previous.get()};
  auto answer =
      Fetcher(std::move(*child)).ask(request, std::span(fds).first(previous ? 2 : 1), stop);
  if (!answer) {
    return tl::unexpected(answer.error());
  }
  FetchedFeed fetched{std::move(*answer), {}};
  if (fetched.answer.status == FetchStatus::New) {
    if (auto sealed = seal(body, fetched.answer); !sealed) {
      return tl::unexpected(sealed.error());
    }
    fetched.body = std::move(body);
  }
  return fetched;
}

} // namespace outguard::launch
