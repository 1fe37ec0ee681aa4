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
    return look_at_tls(bytes, scratch_, sink_);
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
  EXPECT_EQ(look(client_hello(huge)), TlsLook::Done); // and beyond: given up, not waited for
  EXPECT_THAT(sink_.seen, IsEmpty());
}

TEST_F(TlsTest, ScatteredOverRecords) {
  for (const std::size_t size : {1U, 3U, 7U, 100U, 200U}) {
    const ClientHello hello{.server_name = "scattered.example", .record_size = size};
    EXPECT_EQ(look(client_hello(hello)), TlsLook::Done) << size;
    EXPECT_THAT(sink_.seen, ElementsAre("tls-sni name scattered.example")) << size;
  }
}

TEST_F(TlsTest, EveryPrefixWantsMore) {
  for (const std::size_t record : {16384U, 50U}) {
    const auto hello = client_hello({.server_name = "prefix.example", .record_size = record});
    for (std::size_t size = 1; size < hello.size(); ++size) {
      ASSERT_EQ(look(hello, size), TlsLook::NeedMore) << size;
      ASSERT_THAT(sink_.seen, IsEmpty());
    }
  }
}

TEST_F(TlsTest, ServersAndOthers) {
  EXPECT_EQ(look(server_hello()), TlsLook::Done);
  EXPECT_EQ(look({21, 3, 1, 0, 2, 2, 40}), TlsLook::Done); // alert
  EXPECT_EQ(look({23, 3, 3, 0, 2, 1, 1}), TlsLook::NotTls);
  EXPECT_EQ(look({22, 2, 1, 0, 2, 1, 1}), TlsLook::NotTls);
  EXPECT_EQ(look({22, 3, 9, 0, 2, 1, 1}), TlsLook::NotTls);
  EXPECT_EQ(look({22, 3, 1, 0, 0, 1, 1}), TlsLook::NotTls);
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
