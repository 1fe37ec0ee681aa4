#include "fetch/fetch_service.h"

#include <thread>

#include <sys/mman.h>
#include <sys/stat.h>

#include "fetch/curl_client.h"
#include "fetch/feed_fetch.h"

namespace outguard::fetch {

namespace {

constexpr std::chrono::seconds kPatience{10}; ///< our own side speaks at once

/// The last good copy, mapped; empty when there is none or it cannot be had.
class PreviousCopy {
public:
  explicit PreviousCopy(const std::vector<Fd> &fds) {
    struct stat about {};
    if (fds.size() < 2 || ::fstat(fds[1].get(), &about) != 0 || about.st_size <= 0) {
      return;
    }
    const auto size = static_cast<std::size_t>(about.st_size);
    void *start = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fds[1].get(), 0);
    if (start != MAP_FAILED) {
      text_ = {static_cast<const char *>(start), size};
    }
  }
  ~PreviousCopy() {
    if (!text_.empty()) {
      ::munmap(const_cast<char *>(text_.data()), text_.size());
    }
  }
  PreviousCopy(const PreviousCopy &) = delete;
  PreviousCopy &operator=(const PreviousCopy &) = delete;
  [[nodiscard]] std::string_view text() const { return text_; }

private:
  std::string_view text_;
};

void fetch(const FetchFeed &request, const std::vector<Fd> &fds, FeedFetched &answer) {
  auto client = CurlClient::create(request);
  if (!client) {
    answer.problem = FetchProblem::Local;
    answer.reason = client.error().message;
    return;
  }
  const PreviousCopy previous(fds);
  const auto sleep = [](std::chrono::milliseconds pause) { std::this_thread::sleep_for(pause); };
  fetch_feed(request, *client, sleep, previous.text(), fds[0].get(), answer);
}

} // namespace

void serve_one(MessageSocket control, std::vector<std::string> sandbox_gaps) {
  const auto message = control.receive(kPatience);
  if (!message || !*message || (*message)->fds.empty()) {
    return;
  }
  const auto request = decode_fetch((*message)->bytes);
  if (!request) {
    return; // our own side speaks another version
  }
  FeedFetched answer;
  answer.sandbox_gaps = std::move(sandbox_gaps);
  fetch(*request, (*message)->fds, answer);
  static_cast<void>(control.send(encode(answer), {}, kPatience));
}

} // namespace outguard::fetch
