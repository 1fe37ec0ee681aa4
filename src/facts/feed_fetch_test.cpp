#include <gtest/gtest.h>

#include "facts/feed_fetch.h"

namespace outguard {
namespace {

TEST(FeedFetch, RoundTripAndEveryCut) {
  FetchFeed request;
  request.url = "https://feeds.example/";
  request.kind = FeedKind::Misp;
  request.key_headers = {"A: b"};
  request.mark.added_after = "2024-01-01T00:00:00.0000001Z";
  const auto bytes = encode(request);
  const auto back = decode_fetch(bytes);
  ASSERT_TRUE(back);
  EXPECT_EQ(encode(*back), bytes);
  EXPECT_EQ(back->mark.added_after, request.mark.added_after);
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_FALSE(decode_fetch(std::span(bytes).first(length))) << length;
  }
}

TEST(FeedFetch, AnAnswerMustBePrintable) {
  FeedFetched answer;
  answer.mark.etag = "\"1\"";
  EXPECT_TRUE(decode_fetched(encode(answer)));
  answer.mark.etag = "\"1\"\nX: y";
  EXPECT_FALSE(decode_fetched(encode(answer)));
}

} // namespace
} // namespace outguard
