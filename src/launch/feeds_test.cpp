// Keeping, scheduling and keys of feeds; fetching itself is in tests/system/test_fetch.py.
#include <array>
#include <filesystem>
#include <fstream>
#include <future>
#include <optional>
#include <thread>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sanitized.h"
#include "launch/feed_cache.h"
#include "launch/feed_keeper.h"
#include "launch/feed_schedule.h"
#include "launch/key_file.h"

namespace outguard::launch {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

/// Listens on loopback; answers its first request with "one", or never.
class Listener {
public:
  explicit Listener(bool answers) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address_;
    auto *raw = reinterpret_cast<sockaddr *>(&address_);
    EXPECT_EQ(::bind(socket_.get(), raw, size), 0);
    EXPECT_EQ(::listen(socket_.get(), 4), 0);
    EXPECT_EQ(::getsockname(socket_.get(), raw, &size), 0);
    if (answers) {
      thread_ = std::jthread([this] {
        const Fd client(::accept(socket_.get(), nullptr, nullptr));
        std::array<char, 4096> request{};
        static_cast<void>(::recv(client.get(), request.data(), request.size(), 0));
        constexpr std::string_view kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none";
        static_cast<void>(::send(client.get(), kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL));
      });
    }
  }
  [[nodiscard]] std::string url() const {
    return "http://127.0.0.1:" + std::to_string(ntohs(address_.sin_port)) + "/";
  }

private:
  Fd socket_;
  sockaddr_in address_{};
  std::jthread thread_;
};

struct Cache : testing::Test {
  void SetUp() override {
    char name[] = "/tmp/outguard-feeds-XXXXXX";
    folder = ::mkdtemp(name);
    request.url = "https://feeds.example/list";
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  [[nodiscard]] FetchedFeed fetched(const std::string &text, std::string etag) const {
    FetchedFeed feed;
    feed.answer.status = FetchStatus::New;
    feed.answer.bytes = text.size();
    feed.answer.mark.etag = std::move(etag);
    feed.body = Fd(::memfd_create("test", MFD_CLOEXEC));
    EXPECT_EQ(::write(feed.body.get(), text.data(), text.size()),
              static_cast<ssize_t>(text.size()));
    return feed;
  }
  static std::string content(const std::string &path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::string folder;
  FetchFeed request;
};

TEST_F(Cache, KeepsAndFinds) {
  FeedCache cache(folder + "/new");
  EXPECT_FALSE(cache.find(request.url, request.kind));
  const auto path = cache.keep(request, fetched("one", "\"1\""));
  ASSERT_TRUE(path);
  EXPECT_EQ(content(*path), "one");
  EXPECT_EQ(std::filesystem::status(*path).permissions(), std::filesystem::perms(0600));
  const auto copy = cache.find(request.url, request.kind);
  ASSERT_TRUE(copy);
  EXPECT_EQ(copy->mark.etag, "\"1\"");
  EXPECT_FALSE(cache.find(request.url, FeedKind::Taxii));
  EXPECT_FALSE(cache.find(request.url + "2", request.kind));

  ASSERT_TRUE(cache.keep(request, fetched("two", "")));
  EXPECT_EQ(content(*path), "two");
  EXPECT_EQ(cache.find(request.url, request.kind)->mark.etag, "");
}

TEST_F(Cache, FailuresAndUnchangedKeepTheCopy) {
  FeedCache cache(folder);
  FetchedFeed failed;
  EXPECT_EQ(cache.keep(request, failed).error().code, ErrorCode::NotFound);
  const auto path = cache.keep(request, fetched("one", "\"1\""));
  EXPECT_EQ(cache.keep(request, failed).value(), path.value());
  EXPECT_EQ(cache.find(request.url, request.kind)->mark.etag, "\"1\"");
  FetchedFeed unchanged;
  unchanged.answer.status = FetchStatus::Unchanged;
  unchanged.answer.mark.etag = "\"2\"";
  EXPECT_EQ(cache.keep(request, unchanged).value(), path.value());
  EXPECT_EQ(cache.find(request.url, request.kind)->mark.etag, "\"2\"");
  EXPECT_EQ(content(*path), "one");
}

TEST_F(Cache, WhatIsDamagedIsNotThere) {
  FeedCache cache(folder);
  const auto path = cache.keep(request, fetched("one", "\"1\""));
  const auto note = path->substr(0, path->size() - 4) + "note";
  const auto whole = content(note);
  for (std::size_t length = 0; length < whole.size() - 1; ++length) {
    std::ofstream(note) << whole.substr(0, length);
    const auto found = cache.find(request.url, request.kind);
    EXPECT_FALSE(found) << whole.substr(0, length);
  }
  std::ofstream(note) << whole;
  EXPECT_TRUE(cache.find(request.url, request.kind));
  std::ofstream(*path) << "longer";
  EXPECT_FALSE(cache.find(request.url, request.kind));
  std::filesystem::remove(*path);
  std::filesystem::create_symlink(note, *path);
  EXPECT_FALSE(cache.find(request.url, request.kind));
}

TEST_F(Cache, ACopyThatSomebodyChangedIsUsedAndFetchedWhole) {
  FeedCache cache(folder);
  request.kind = FeedKind::Taxii;
  auto feed = fetched("one", "\"1\"");
  feed.answer.mark.added_after = "2024-01-01T00:00:00Z";
  const auto path = cache.keep(request, feed);
  ASSERT_TRUE(path);
  EXPECT_EQ(cache.find(request.url, request.kind)->mark.etag, "\"1\"");
  std::ofstream(*path) << "two"; // as long as it was
  namespace fs = std::filesystem;
  fs::last_write_time(*path, fs::last_write_time(*path) + seconds(1)); // its clock may tick slowly
  const auto found = cache.find(request.url, request.kind);
  ASSERT_TRUE(found);
  EXPECT_FALSE(found->body);
  EXPECT_EQ(found->mark.etag, "");
  EXPECT_EQ(found->mark.added_after, "");
}

TEST_F(Cache, ACollectionJoinedOftenIsFetchedWhole) {
  FeedCache cache(folder, 3);
  request.kind = FeedKind::Taxii;
  auto feed = fetched("one", "");
  feed.answer.mark.added_after = "2024-01-01T00:00:00Z";
  feed.answer.items = 5;
  feed.answer.new_items = 1;
  int joins = 0;
  for (; joins < 10; ++joins) {
    ASSERT_TRUE(cache.keep(request, feed));
    request.mark = cache.find(request.url, request.kind)->mark;
    if (request.mark.added_after.empty()) {
      break;
    }
  }
  EXPECT_EQ(joins, 3);
  ASSERT_TRUE(cache.keep(request, feed)); // whole
  EXPECT_FALSE(cache.find(request.url, request.kind)->mark.added_after.empty());
}

TEST(Schedule, IntervalsAndFailures) {
  const auto start = MonotonicTime(std::chrono::hours(5));
  FeedSchedule schedule;
  EXPECT_FALSE(schedule.due(start));
  EXPECT_FALSE(schedule.next());
  const auto hourly = schedule.add(minutes(60));
  const auto eager = schedule.add(seconds(1)); // held to a minute
  EXPECT_EQ(schedule.due(start), hourly);
  schedule.succeeded(hourly, start, 0);
  EXPECT_EQ(schedule.due(start), eager);
  schedule.succeeded(eager, start, 0);
  EXPECT_FALSE(schedule.due(start + seconds(59)));
  EXPECT_EQ(schedule.due(start + seconds(60)), eager);
  EXPECT_EQ(schedule.due(start + minutes(61)), eager); // due for longer
  EXPECT_EQ(schedule.next(), start + seconds(60));

  const auto wait = [&](double jitter, seconds wished) {
    schedule.succeeded(eager, start + minutes(1000), 0);
    schedule.failed(hourly, start, jitter, wished);
    return *schedule.next() - start;
  };
  EXPECT_EQ(wait(0, seconds(0)), minutes(1));
  EXPECT_EQ(wait(0, seconds(0)), minutes(2));
  EXPECT_EQ(wait(1, seconds(0)), seconds(216)); // 4 min less a tenth
  EXPECT_EQ(wait(0, minutes(30)), minutes(30));
  for (int i = 0; i < 100; ++i) {
    static_cast<void>(wait(0, seconds(0)));
  }
  EXPECT_EQ(wait(0, seconds(0)), minutes(60)); // never beyond the interval
  EXPECT_EQ(schedule.failures(hourly), 105U);
  schedule.succeeded(hourly, start, 0);
  EXPECT_EQ(schedule.failures(hourly), 0U);
}

TEST_F(Cache, TheKeeperFetchesKeepsAndStopsAtOnce) {
  if (kSanitized) {
    GTEST_SKIP() << "sanitizers need system calls that the sandbox forbids";
  }
  if (!std::filesystem::exists(std::filesystem::read_symlink("/proc/self/exe").parent_path() /
                               "outguard-fetch")) {
    GTEST_SKIP() << "outguard-fetch is not built";
  }
  Listener good(true), silent(false);
  std::promise<std::string> came;
  std::vector<FeedSource> sources(2);
  sources[0].url = good.url();
  sources[1].url = silent.url();
  const auto note = [&](const FeedSource &source, const Result<RefreshedFeed> &outcome,
                        MonotonicTime next) {
    ASSERT_TRUE(outcome) << outcome.error().message;
    EXPECT_GT(next, monotonic_now());
    EXPECT_EQ(source.url, good.url());
    came.set_value(outcome->path);
  };
  std::optional<FeedKeeper> keeper(std::in_place, sources, folder, note);
  auto path = came.get_future();
  ASSERT_EQ(path.wait_for(seconds(20)), std::future_status::ready);
  EXPECT_EQ(content(path.get()), "one");
  EXPECT_EQ(FeedKeeper::copies(sources, folder).size(), 1U);
  std::this_thread::sleep_for(std::chrono::milliseconds(100)); // the silent one is being asked
  const auto start = monotonic_now();
  keeper.reset();
  EXPECT_LT(monotonic_now() - start, seconds(2));
}

TEST(Keys, HeadersAndKeysAlone) {
  using Headers = std::vector<std::string>;
  EXPECT_EQ(parse_key("abc\n", FeedKind::File, "k").value(), Headers{"Auth-Key: abc"});
  EXPECT_EQ(parse_key(" abc", FeedKind::Misp, "k").value(), Headers{"Authorization: abc"});
  EXPECT_EQ(parse_key("abc\r\n", FeedKind::Taxii, "k").value(),
            Headers{"Authorization: Bearer abc"});
  EXPECT_EQ(parse_key("# c\n\nX-Key: a b\nY: c", FeedKind::File, "k").value(),
            (Headers{"X-Key: a b", "Y: c"}));
  for (const char *text : {"", "#x\n", "two words", "X:secret", ": secret", "secret value: x"}) {
    const auto keys = parse_key(text, FeedKind::File, "k");
    ASSERT_FALSE(keys) << text;
    EXPECT_EQ(keys.error().message.find("secret"), std::string::npos);
  }
}

} // namespace
} // namespace outguard::launch
