// Without a network: a client that answers from a list. What libcurl does is in tests/system.
#include <deque>
#include <map>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "fetch/curl_client.h"
#include "fetch/feed_fetch.h"
#include "fetch/item_list.h"
#include "fetch/json_pages.h"

namespace outguard::fetch {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Prepared {
  HttpReply reply;
  std::string body;
};

Prepared good(std::string body) {
  HttpReply reply;
  reply.status = 200;
  return {reply, std::move(body)};
}
Prepared bad(FetchProblem problem) {
  return {HttpReply::failed(problem, "prepared"), "half"};
}
Prepared redirect(std::string target) {
  auto prepared = good("");
  prepared.reply.status = 302;
  prepared.reply.redirect_url = std::move(target);
  return prepared;
}

class FakeClient final : public HttpClient {
public:
  HttpReply exchange(const HttpRequest &request, HttpSink &sink, MonotonicTime) override {
    asked.push_back(request);
    if (answers.empty()) {
      return HttpReply::failed(FetchProblem::Connect, "no more answers");
    }
    auto answer = std::move(answers.front());
    answers.pop_front();
    if (!sink.take(answer.body)) {
      return HttpReply::failed(sink.problem(), "full");
    }
    return answer.reply;
  }
  std::deque<Prepared> answers;
  std::vector<HttpRequest> asked;
};

struct Fetch : testing::Test {
  FeedFetched run(std::string_view previous = {}) {
    FeedFetched answer;
    fetch_feed(
        request, client, [&](milliseconds pause) { pauses.push_back(pause); }, previous, file.get(),
        answer);
    return answer;
  }
  [[nodiscard]] std::string body() const {
    std::string text(1 << 16, '\0');
    const ssize_t count = ::pread(file.get(), text.data(), text.size(), 0);
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    return text;
  }

  FakeClient client;
  FetchFeed request{"https://feeds.example/list", FeedKind::File, {}, {}, {}, {}, {}};
  std::vector<milliseconds> pauses;
  Fd file{::memfd_create("test", MFD_CLOEXEC)};
};

TEST(Pause, GrowsIsSpreadAndHonoursTheServer) {
  EXPECT_EQ(pause_after(1, 0, {}), seconds(1));
  EXPECT_EQ(pause_after(1, 1, {}), milliseconds(500));
  EXPECT_EQ(pause_after(3, 0, {}), seconds(4));
  EXPECT_EQ(pause_after(50, 0, {}), seconds(60));
  EXPECT_EQ(pause_after(1, 0.3, seconds(20)), seconds(20));
  EXPECT_EQ(pause_after(6, 0, seconds(1)), seconds(32));
}

TEST(Url, IsTakenApartOrRefused) {
  const auto url = parse_http_url("HTTPS://Feeds.Example/a/b.json?k=v#x");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->origin(), "https://feeds.example:443");
  EXPECT_EQ(url->directory, "/a/");
  EXPECT_EQ(url->query, "k=v");
  EXPECT_TRUE(parse_http_url("http://u:p@h/")->has_user);
  EXPECT_EQ(parse_http_url("http://h:8080")->origin(), "http://h:8080");
  for (const char *text : {"ftp://h/", "h/list", "", "http://", "http://a b/", "http://h/\n"}) {
    EXPECT_FALSE(parse_http_url(text)) << text;
  }
  EXPECT_EQ(shown("https://u:secret@h/a?key=secret"), "https://h:443/a");
  EXPECT_EQ(percent_encoded("a+b:c/\xc3"), "a%2Bb%3Ac%2F%C3");
}

TEST_F(Fetch, TriesAgainAfterWhatPassesOnly) {
  client.answers = {bad(FetchProblem::CutShort), bad(FetchProblem::ServerFault), good("whole")};
  const auto answer = run();
  EXPECT_EQ(answer.status, FetchStatus::New);
  EXPECT_EQ(body(), "whole"); // nothing of the halves
  EXPECT_EQ(answer.retries, 2U);
  ASSERT_EQ(pauses.size(), 2U);
  EXPECT_GE(pauses[1], seconds(1));

  for (const auto problem : {FetchProblem::Tls, FetchProblem::Denied, FetchProblem::HttpStatus}) {
    client.answers = {bad(problem), good("whole")};
    EXPECT_EQ(run().problem, problem);
    EXPECT_EQ(body(), "");
  }
  client.answers = {5, bad(FetchProblem::Connect)};
  EXPECT_EQ(run().retries, 3U);
}

TEST_F(Fetch, AWishBeyondPatienceIsLeftToTheNextRound) {
  auto limited = bad(FetchProblem::RateLimited);
  limited.reply.retry_after = seconds(3000);
  client.answers = {limited, good("whole")};
  const auto answer = run();
  EXPECT_EQ(answer.problem, FetchProblem::RateLimited);
  EXPECT_EQ(answer.retry_after_ns, 3'000'000'000'000U);
  EXPECT_TRUE(pauses.empty());
}

TEST_F(Fetch, RedirectsAreCappedAndLoseTheKeyAbroad) {
  request.key_headers = {"Auth-Key: secret"};
  client.answers = {redirect("https://feeds.example:443/b"),
                    redirect("https://feeds.example:444/c"), good("whole")};
  EXPECT_EQ(run().redirects, 2U);
  EXPECT_EQ(client.asked.at(1).headers, request.key_headers); // the same origin, said otherwise
  EXPECT_TRUE(client.asked.at(2).headers.empty());
  client.answers = {9, redirect("https://feeds.example/a")};
  EXPECT_EQ(run().problem, FetchProblem::Redirects);
  client.answers = {redirect("http://feeds.example/a")};
  EXPECT_EQ(run().problem, FetchProblem::Downgrade);
}

TEST_F(Fetch, RequestsThatAreRefused) {
  request.key_headers = {"X: a\r\nHost: b"};
  EXPECT_EQ(run().problem, FetchProblem::BadRequest);
  request.key_headers = {"X: a"};
  request.url = "http://feeds.example/";
  EXPECT_EQ(run().problem, FetchProblem::BadRequest);
  request.key_headers.clear();
  request.proxy = "ftp://h";
  EXPECT_EQ(run().problem, FetchProblem::BadRequest);
  EXPECT_TRUE(client.asked.empty());
}

TEST_F(Fetch, NothingNewIsNoAnswerToWhoHasNothing) {
  auto unchanged = good("");
  unchanged.reply.status = 304;
  client.answers = {unchanged};
  EXPECT_EQ(run().problem, FetchProblem::BadAnswer);
  request.mark.etag = "\"1\"";
  client.answers = {unchanged};
  EXPECT_EQ(run().status, FetchStatus::Unchanged);
  request.kind = FeedKind::Misp; // without a copy no condition is sent
  client.answers = {unchanged};
  EXPECT_EQ(run().problem, FetchProblem::BadAnswer);
  client.answers = {unchanged};
  EXPECT_EQ(run("[\n]\n").status, FetchStatus::Unchanged);
}

TEST_F(Fetch, TheCapHoldsForWhatIsJoinedToo) {
  request.kind = FeedKind::Taxii;
  request.limits.max_bytes = 60;
  client.answers = {good(R"({"more":true,"next":"2","objects":[{"a":"aaaaaaaaaaaaaaaa"}]})"),
                    good(R"({"objects":[{"a":"aaaaaaaaaaaaaaaa"}]})")};
  EXPECT_EQ(run().problem, FetchProblem::TooLarge);
  EXPECT_EQ(body(), "");
}

TEST_F(Fetch, ACollectionThatGrewBeyondTheCapIsFetchedWhole) {
  request.kind = FeedKind::Taxii;
  request.limits.max_bytes = 60;
  request.mark.added_after = "2024-01-01T00:00:00.000001Z";
  const std::string old = "{\"objects\":[\n{\"a\":\"aaaaaaaaaaaaaaaaaaaaaaaaa\"}\n]}\n";
  client.answers = {good(R"({"objects":[{"a":"new"},{"b":"aaaaaaaaaa"}]})"),
                    good(R"({"objects":[{"a":"new"}]})")};
  const auto answer = run(old);
  EXPECT_EQ(answer.status, FetchStatus::New) << answer.reason;
  EXPECT_EQ(answer.problem, FetchProblem::None);
  EXPECT_EQ(answer.items, 1U);
  EXPECT_EQ(answer.new_items, 1U);
  EXPECT_EQ(answer.pages, 1U);
  EXPECT_EQ(body(), "{\"objects\":[\n{\"a\":\"new\"}\n]}\n");
  ASSERT_EQ(client.asked.size(), 2U);
  EXPECT_EQ(client.asked[1].url, "https://feeds.example:443/list/objects/");
}

TEST_F(Fetch, AReasonNamesTheFileAmongManyAndNoKey) {
  request.url = "https://feeds.example/list?key=secret";
  client.answers = {bad(FetchProblem::Denied)};
  EXPECT_EQ(run().reason, "prepared");
  request.kind = FeedKind::Misp;
  client.answers = {bad(FetchProblem::Denied)};
  EXPECT_EQ(run().reason, "https://feeds.example:443/list/manifest.json: prepared");
  EXPECT_EQ(client.asked.back().url, "https://feeds.example:443/list/manifest.json?key=secret");
}

TEST_F(Fetch, ACopyThatIsNoneOfOursIsNotGoneOnFrom) {
  request.kind = FeedKind::Taxii;
  request.mark.added_after = "2024-01-01T00:00:00.000001Z";
  client.answers = {good(R"({"objects":[{"a":1}]})")};
  const auto answer = run("{\"objects\":[\n{\"a\":0}");
  EXPECT_EQ(answer.new_items, 1U);
  EXPECT_EQ(client.asked.at(0).url, "https://feeds.example:443/list/objects/");
  client.answers = {good("{}")};
  EXPECT_EQ(run("").status, FetchStatus::New); // not Unchanged: there is nothing that could be
  client.answers = {good("{}")};
  EXPECT_EQ(run("{\"objects\":[\n]}\n").status, FetchStatus::Unchanged);
}

TEST_F(Fetch, AHeaderThatIsNoDateIsNotSentBack) {
  request.kind = FeedKind::Taxii;
  auto page = good(R"({"objects":[{"a":1}]})");
  page.reply.date_added_last = "2024-01-01T00:00:00Z&next=evil";
  client.answers = {page};
  EXPECT_EQ(run().mark.added_after, "");
}

TEST(ItemList, IsReadBackAsItWasWritten) {
  const Fd file(::memfd_create("test", MFD_CLOEXEC));
  for (const std::size_t count : {0U, 1U, 3U}) {
    BodyWriter body(file.get(), 1000);
    ItemWriter writer(body, kTaxiiFrame);
    ASSERT_TRUE(writer.begin());
    for (std::size_t i = 0; i < count; ++i) {
      ASSERT_TRUE(writer.add("{\"i\":" + std::to_string(i) + "}"));
    }
    ASSERT_TRUE(writer.end());
    std::string text(body.size(), '\0');
    ASSERT_EQ(::pread(file.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    const auto page = read_taxii_page(text, [](std::string_view) { return true; });
    ASSERT_TRUE(page) << text;
    EXPECT_EQ(page->objects, count);
    ItemReader reader(text, kTaxiiFrame);
    EXPECT_TRUE(reader.whole());
    for (std::size_t i = 0; i < count; ++i) {
      EXPECT_EQ(reader.next(), "{\"i\":" + std::to_string(i) + "}");
    }
    EXPECT_EQ(reader.next(), "");
    EXPECT_FALSE(ItemReader(text.substr(0, text.size() - 1), kTaxiiFrame).whole());
    EXPECT_FALSE(ItemReader(text, kMispFrame).whole());
  }
}

TEST(JsonPages, Envelopes) {
  std::vector<std::string> taken;
  const auto take = [&](std::string_view item) {
    taken.emplace_back(item);
    return true;
  };
  const auto page = read_taxii_page(
      "{\n \"more\": true, \"next\": \"n\", \"objects\": [ {\"a\": \"x\\ny\"},\n {} ]}", take);
  ASSERT_TRUE(page);
  EXPECT_TRUE(page->more);
  EXPECT_EQ(page->next, "n");
  EXPECT_EQ(taken, (std::vector<std::string>{R"({"a":"x\ny"})", "{}"}));
  EXPECT_EQ(read_taxii_page(R"({"next":7,"more":true})", take)->next, "7");
  EXPECT_TRUE(read_taxii_page("{}", take));
  taken.clear();
  EXPECT_TRUE(read_taxii_page(R"({"objects":[{"a":18446744073709551616},{"b":1}]})", take));
  EXPECT_EQ(taken, (std::vector<std::string>{R"({"a":"??????????????????"})", R"({"b":1})"}));
  for (const char *text :
       {"", "[]", "{", R"({"title":"x"})", R"({"objects":[1]})", R"({"objects":{}})",
        R"({"more":"yes","objects":[]})", R"({"next":{},"objects":[]})"}) {
    EXPECT_FALSE(read_taxii_page(text, take)) << text;
  }
  std::string deep(200, '[');
  EXPECT_FALSE(read_taxii_page("{\"objects\":" + deep + std::string(200, ']') + "}", take));
}

TEST(JsonPages, Manifests) {
  const auto manifest = read_misp_manifest(
      R"({"00000000-0000-4000-8000-00000000000A":{"timestamp":"17"},
          "00000000-0000-4000-8000-00000000000b":{"timestamp":18},
          "../x":{"timestamp":1},"00000000-0000-4000-8000-00000000000c":{"timestamp":"1x"}})");
  ASSERT_TRUE(manifest);
  EXPECT_EQ(manifest->events,
            (std::vector<ManifestEvent>{{"00000000-0000-4000-8000-00000000000a", 17},
                                        {"00000000-0000-4000-8000-00000000000b", 18}}));
  EXPECT_EQ(manifest->malformed, 2U);
  EXPECT_FALSE(read_misp_event(R"({"event":{}})"));
  EXPECT_FALSE(read_misp_event(R"({"Event":[]})"));
}

} // namespace
} // namespace outguard::fetch
