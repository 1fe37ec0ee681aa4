#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest/protocols/ftp.h"
#include "guest/protocols/protocol_test_builder.h"
#include "guest/protocols/split_test_run.h"
#include "guest/protocols/tftp.h"

namespace outguard::guest {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> seen(std::string_view text, FtpSession session = FtpSession::NotSeen,
                              std::size_t cut = 0) {
  return seen_when_cut(bytes_of(text), cut, [session](auto bytes, auto &sink) {
    std::string scratch;
    return look_at_ftp(session, bytes, scratch, sink);
  });
}

TEST(Ftp, NamesOfFilesAtEveryCut) {
  const std::string text = "TYPE I\r\nPASV\r\nRETR  dir/Bot x.sh\r\nCWD up\r\nSTOR a\x01"
                           "b\n";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    ASSERT_THAT(seen(text, FtpSession::NotSeen, cut),
                ElementsAre("file-name plain dir/Bot x.sh", "file-name plain a\\001b"))
        << cut;
  }
}

TEST(Ftp, Pop3HasNumbers) {
  EXPECT_THAT(seen("RETR 12\r\n"), IsEmpty());
  EXPECT_THAT(seen("DELE 12\r\n"), IsEmpty());
  EXPECT_THAT(seen("RETR 12\r\n", FtpSession::Seen), ElementsAre("file-name plain 12"));
}

TEST(Ftp, OtherWordsAreNotMine) {
  for (const char *text : {"USER a\r\n", "RETRY a\r\n", "RET\r\n", "PORTAL\r\n", "STOU\r\n"}) {
    EXPECT_THAT(seen(text), IsEmpty()) << text;
  }
  EXPECT_THAT(seen("STOR " + std::string(4000, 'a') + "\r\n"), IsEmpty());
}

std::vector<std::string> requested(std::string_view text) {
  RecordingSink sink;
  std::string scratch;
  const bool found = look_at_tftp(bytes_of(text), scratch, sink);
  EXPECT_EQ(found, !sink.seen.empty());
  return sink.seen;
}

TEST(Tftp, NamesOfReadAndWriteRequests) {
  using namespace std::literals;
  EXPECT_THAT(requested("\0\1boot.img\0octet\0blksize\0001432\0"sv),
              ElementsAre("file-name plain boot.img"));
  EXPECT_THAT(requested("\0\2a\xff\0NetASCII\0"sv), ElementsAre("file-name plain a\\255"));
  for (const auto text : {"\0\3a\0octet\0"sv, "\0\1\0octet\0"sv, "\0\1a\0octet"sv,
                          "\0\1a\0binary\0"sv, "\0\1a"sv, "\0\1"sv, ""sv, "\1\1a\0octet\0"sv}) {
    EXPECT_THAT(requested(text), IsEmpty());
  }
  EXPECT_THAT(requested("\0\1"s + std::string(600, 'a') + "\0octet\0"s), IsEmpty());
}

} // namespace
} // namespace outguard::guest
