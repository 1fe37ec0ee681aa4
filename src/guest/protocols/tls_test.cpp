#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest/protocols/recording_test_sink.h"
#include "guest/protocols/tls.h"
#include "guest/testing/message_builder.h"

namespace outguard::guest {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class TlsTest : public testing::Test {
protected:
  TlsLook look(const Bytes &bytes) {
    sink_.seen.clear();
    return look_at_tls(bytes, scratch_, sink_).look;
  }
  TlsLook look(const Bytes &bytes, std::size_t size) {
    return look(Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)));
  }
  std::string scratch_;
  RecordingSink sink_;
};

TEST_F(TlsTest, ServerName) {
  EXPECT_EQ(look(client_hello({.server_name = "C2.Example."})), TlsLook::Done);
  EXPECT_THAT(sink_.seen, ElementsAre("tls-sni name c2.example"));
  EXPECT_EQ(look(client_hello({.server_name = "192.0.2.1"})), TlsLook::Done);
  EXPECT_THAT(sink_.seen, ElementsAre("tls-sni address 192.0.2.1"));
}

TEST_F(TlsTest, NoServerName) {
  EXPECT_EQ(look(client_hello({})), TlsLook::Done);
  EXPECT_THAT(sink_.seen, IsEmpty());
}

TEST_F(TlsTest, AsLargeAsTheyGet) {
  const ClientHello large{.server_name = "pq.example", .key_share = 1216, .padding = 14000};
  EXPECT_EQ(look(client_hello(large)), TlsLook::Done);
  EXPECT_THAT(sink_.seen, ElementsAre("tls-sni name pq.example"));
  const ClientHello huge{.server_name = "pq.example", .padding = 17000};
  EXPECT_EQ(look(client_hello(huge)), TlsLook::Done); // and beyond
  EXPECT_THAT(sink_.seen, ElementsAre("tls-sni name pq.example"));
}

TEST_F(TlsTest, NameIsToldBeforeTheHelloEnds) {
  auto hello = client_hello({.server_name = "early.example"});
  hello[3] = 0x40; // of a record and a message that go on for 16 KiB and 1 MiB
  hello[4] = 0x00;
  hello[6] = 0x10;
  EXPECT_EQ(look(hello), TlsLook::Done);
  EXPECT_THAT(sink_.seen, ElementsAre("tls-sni name early.example"));
}

TEST_F(TlsTest, AlertsAndEmptyRecordsArePassedOver) {
  for (const Bytes &first : {Bytes{21, 3, 1, 0, 2, 1, 0}, Bytes{22, 3, 1, 0, 0}}) {
    const auto result = look_at_tls(first, scratch_, sink_);
    EXPECT_EQ(result.look, TlsLook::PassOver);
    EXPECT_EQ(result.length, first.size());
  }
}

TEST_F(TlsTest, ScatteredOverRecords) {
  for (const std::size_t size : {1U, 3U, 7U, 100U, 200U}) {
    const ClientHello hello{.server_name = "scattered.example", .record_size = size};
    EXPECT_EQ(look(client_hello(hello)), TlsLook::Done) << size;
    EXPECT_THAT(sink_.seen, ElementsAre("tls-sni name scattered.example")) << size;
  }
}

TEST_F(TlsTest, EveryPrefixWantsMoreUntilTheNameIsThere) {
  for (const std::size_t record : {16384U, 50U}) {
    const auto hello = client_hello({.server_name = "prefix.example", .record_size = record});
    bool told = false;
    for (std::size_t size = 1; size <= hello.size(); ++size) {
      const auto got = look(hello, size);
      told = told || got == TlsLook::Done;
      ASSERT_EQ(got, told ? TlsLook::Done : TlsLook::NeedMore) << size;
      ASSERT_EQ(sink_.seen.size(), told ? 1U : 0U) << size;
    }
    EXPECT_TRUE(told);
  }
}

TEST_F(TlsTest, ServersAndOthers) {
  EXPECT_EQ(look(server_hello()), TlsLook::Done);
  EXPECT_EQ(look({23, 3, 3, 0, 2, 1, 1}), TlsLook::NotTls);
  EXPECT_EQ(look({22, 2, 1, 0, 2, 1, 1}), TlsLook::NotTls);
  EXPECT_EQ(look({22, 3, 9, 0, 2, 1, 1}), TlsLook::NotTls);
  EXPECT_EQ(look({22, 3, 1, 0xff, 0xff, 1}), TlsLook::NotTls);
}

TEST_F(TlsTest, LengthsThatLieYieldNothing) {
  const auto good = client_hello({.server_name = "victim.example"});
  const std::string name = "victim.example";
  const auto at = std::search(good.begin(), good.end(), name.begin(), name.end());
  auto name_length = good;
  name_length[static_cast<std::size_t>(at - good.begin()) - 1] = 0xff;
  EXPECT_EQ(look(name_length), TlsLook::Done);
  EXPECT_THAT(sink_.seen, IsEmpty());
  auto session = good;
  session[5 + 4 + 34] = 0xff;
  EXPECT_EQ(look(session), TlsLook::Done);
  EXPECT_THAT(sink_.seen, IsEmpty());
  auto second_record = client_hello({.server_name = "victim.example", .record_size = 60});
  second_record[65] = 23; // application data in the middle of the hello
  EXPECT_EQ(look(second_record), TlsLook::Done);
  EXPECT_THAT(sink_.seen, IsEmpty());
}

} // namespace
} // namespace outguard::guest
