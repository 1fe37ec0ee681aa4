#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest/protocols/certificate_test_builder.h"
#include "guest/protocols/digest.h"
#include "guest/protocols/recording_test_sink.h"
#include "guest/protocols/tls.h"
#include "guest/protocols/tls_test_builder.h"
#include "guest/testing/message_builder.h"

namespace outguard::guest {
namespace {

using testing::_;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

class TlsTest : public testing::Test {
protected:
  /// One look at the start of a stream; `sink_` then has what was seen, `names_` the names of it.
  TlsLook look(const Bytes &bytes) {
    state_ = {};
    sink_ = RecordingSink();
    const auto result = look_at_tls(state_, bytes, 443, scratch_, sink_);
    names_.clear();
    std::copy_if(sink_.seen.begin(), sink_.seen.end(), std::back_inserter(names_),
                 [](const std::string &seen) { return seen.starts_with("tls-sni"); });
    return result.look;
  }
  /// A stream that comes in pieces, as the assembler gives it: what is not consumed comes again.
  TlsLook stream(const Bytes &bytes, std::size_t piece) {
    state_ = {};
    sink_ = RecordingSink();
    std::size_t begin = 0;
    for (std::size_t end = std::min(piece, bytes.size());;) {
      const auto result =
          look_at_tls(state_, std::span(bytes).subspan(begin, end - begin), 50000, scratch_, sink_);
      if (result.look == TlsLook::Consumed) {
        begin += result.length;
        most_held_ = std::max(most_held_, end - std::min(begin, end));
      }
      const bool wants = result.look == TlsLook::NeedMore || begin >= end;
      if (result.look == TlsLook::Done || result.look == TlsLook::NotTls ||
          (wants && end == bytes.size())) {
        return result.look;
      }
      end = wants ? std::min(std::max(begin, end) + piece, bytes.size()) : end;
      most_held_ = std::max(most_held_, end - begin);
    }
  }
  TlsState state_;
  TlsScratch scratch_;
  RecordingSink sink_;
  std::vector<std::string> names_;
  std::size_t most_held_ = 0;
};

TEST_F(TlsTest, ServerName) {
  EXPECT_EQ(look(client_hello({.server_name = "C2.Example."})), TlsLook::Done);
  EXPECT_THAT(names_, ElementsAre("tls-sni name c2.example"));
  EXPECT_EQ(look(client_hello({.server_name = "192.0.2.1"})), TlsLook::Done);
  EXPECT_THAT(names_, ElementsAre("tls-sni address 192.0.2.1"));
}

TEST_F(TlsTest, NoServerName) {
  EXPECT_EQ(look(client_hello({})), TlsLook::Done);
  EXPECT_THAT(names_, IsEmpty());
  EXPECT_EQ(sink_.seen[0], "tls-alpn plain h2");
}

TEST_F(TlsTest, NamesOfAnotherTypeAreNone) { // RFC 6066, 3: 0 is a host's
  auto other = sni("typed.example");
  other.second.at(2) = 1;
  EXPECT_EQ(look(in_records(message(1, hello_body({.ciphers = {1}, .extensions = {other}})))),
            TlsLook::Done);
  EXPECT_THAT(names_, IsEmpty());
}

TEST_F(TlsTest, EverythingOfAHello) {
  const auto hello = in_records(message(
      1,
      hello_body({.ciphers = {0x2a2a, 0x1301, 0xc02f},
                  .extensions = {alpn({"a\n", "h2"}), sni("all.example"), versions({0x0304})}})));
  EXPECT_EQ(look(hello), TlsLook::Done);
  EXPECT_THAT(sink_.seen, ElementsAre("tls-sni name all.example", "tls-alpn plain a\\010",
                                      // 771,4865-49199,16-0-43,,
                                      "tls-ja3 plain 7781187f680c0cc77608e7b1a063c24a",
                                      StartsWith("tls-ja4 plain t13d02036a_")));
  EXPECT_EQ(sink_.blind, 0);
}

TEST_F(TlsTest, DigestsAreMadeForWhoAsks) {
  const auto hello = in_records(
      message(1, hello_body({.ciphers = {1}, .extensions = {sni("all.example"), alpn({"h2"})}})));
  const auto flight = in_records(server_messages({certificate({.common_name = "a.example"})}));
  const auto seen_of = [&](const Bytes &bytes, ObservableKinds wanted) {
    RecordingSink sink(wanted);
    TlsState state;
    (void)look_at_tls(state, bytes, 443, scratch_, sink);
    return sink.seen;
  };
  using Kind = ObservableKind;
  EXPECT_THAT(seen_of(hello, {}), ElementsAre("tls-sni name all.example"));
  EXPECT_THAT(seen_of(hello, {Kind::TlsJa3}), ElementsAre(_, StartsWith("tls-ja3 ")));
  EXPECT_THAT(seen_of(hello, {Kind::TlsJa4}), ElementsAre(_, StartsWith("tls-ja4 ")));
  EXPECT_THAT(seen_of(flight, {}), ElementsAre("certificate-name name a.example"));
  EXPECT_THAT(seen_of(flight, {Kind::CertificateSha1}),
              ElementsAre(StartsWith("certificate-sha1 "), _));
  EXPECT_THAT(seen_of(flight, {Kind::CertificateSha256}),
              ElementsAre(StartsWith("certificate-sha256 "), _));
}

TEST_F(TlsTest, ALongCertificateIsNotWaitedForWhereNobodyAsks) {
  const auto flight = in_records(server_messages({certificate({.padding = 40000})}));
  for (const auto kind : {ObservableKind::CertificateSha1, ObservableKind::CertificateSha256}) {
    TlsState state;
    RecordingSink sink(ObservableKinds{kind});
    const auto bytes = std::span(flight).first(20000);
    EXPECT_EQ(look_at_tls(state, bytes, 50000, scratch_, sink).look, TlsLook::Consumed);
  }
  TlsState state;
  RecordingSink sink(ObservableKinds{ObservableKind::CertificateName});
  EXPECT_EQ(look_at_tls(state, std::span(flight).first(20000), 50000, scratch_, sink).look,
            TlsLook::Done);
  EXPECT_EQ(state.certificate, 0U);
}

TEST_F(TlsTest, WhatIsHiddenIsSaid) {
  const auto blind_of = [&](const HelloParts &parts, std::uint16_t port) {
    state_ = {};
    sink_ = RecordingSink();
    (void)look_at_tls(state_, in_records(message(1, hello_body(parts))), port, scratch_, sink_);
    return sink_.blind;
  };
  constexpr auto kHello = static_cast<std::uint8_t>(Blindness::EncryptedHello);
  constexpr auto kDns = static_cast<std::uint8_t>(Blindness::DnsOverTls);
  EXPECT_EQ(blind_of({.ciphers = {1}, .extensions = {sni("front.example")}}, 443), 0);
  EXPECT_EQ(blind_of({.ciphers = {1},
                      .extensions = {sni("front.example"), {std::uint16_t{0xfe0d}, Bytes(9, 1)}}},
                     443),
            kHello);
  EXPECT_EQ(blind_of({.ciphers = {1}, .extensions = {alpn({"h2", "dot"})}}, 443), kDns);
  EXPECT_EQ(blind_of({.ciphers = {1}, .extensions = {alpn({"dots"})}}, 443), 0);
  EXPECT_EQ(blind_of({.ciphers = {1}}, 853), kDns);
}

TEST_F(TlsTest, AsLargeAsTheyGet) {
  const ClientHello large{.server_name = "pq.example", .key_share = 1216, .padding = 14000};
  EXPECT_EQ(look(client_hello(large)), TlsLook::Done);
  EXPECT_THAT(names_, ElementsAre("tls-sni name pq.example"));
  const ClientHello huge{.server_name = "pq.example", .padding = 17000};
  EXPECT_EQ(look(client_hello(huge)), TlsLook::Done); // and beyond
  EXPECT_THAT(names_, ElementsAre("tls-sni name pq.example"));
}

TEST_F(TlsTest, NameIsToldOnceAndBeforeTheHelloEnds) {
  auto hello = client_hello({.server_name = "early.example"});
  hello[3] = 0x3f; // of a record and a message that go on
  hello[4] = 0x00;
  hello[7] = 0x30;
  EXPECT_EQ(look(hello), TlsLook::NeedMore);
  EXPECT_THAT(sink_.seen, ElementsAre("tls-sni name early.example"));
  EXPECT_EQ(look_at_tls(state_, hello, 443, scratch_, sink_).look, TlsLook::NeedMore);
  EXPECT_THAT(sink_.seen, ElementsAre("tls-sni name early.example"));
  hello[6] = 0x10; // for 1 MiB: not waited for
  EXPECT_EQ(look(hello), TlsLook::Done);
  EXPECT_THAT(sink_.seen, ElementsAre("tls-sni name early.example"));
}

TEST_F(TlsTest, AlertsAndEmptyRecordsArePassedOver) {
  for (const Bytes &first : {Bytes{21, 3, 1, 0, 2, 1, 0}, Bytes{22, 3, 1, 0, 0}}) {
    const auto result = look_at_tls(state_, first, 443, scratch_, sink_);
    EXPECT_EQ(result.look, TlsLook::Consumed);
    EXPECT_EQ(result.length, first.size());
  }
}

TEST_F(TlsTest, ScatteredOverRecords) {
  for (const std::size_t size : {1U, 3U, 7U, 100U, 200U}) {
    const ClientHello hello{.server_name = "scattered.example", .record_size = size};
    EXPECT_EQ(look(client_hello(hello)), TlsLook::Done) << size;
    EXPECT_THAT(names_, ElementsAre("tls-sni name scattered.example")) << size;
  }
}

TEST_F(TlsTest, ByteByByteAsAtOnce) {
  for (const std::size_t record : {16384U, 50U}) {
    const auto hello = client_hello({.server_name = "prefix.example", .record_size = record});
    EXPECT_EQ(look(hello), TlsLook::Done);
    const auto at_once = sink_.seen;
    EXPECT_THAT(at_once, SizeIs(4));
    for (const std::size_t piece : {1U, 7U, 100U}) {
      EXPECT_EQ(stream(hello, piece), TlsLook::Done);
      EXPECT_EQ(sink_.seen, at_once);
    }
    EXPECT_EQ(stream(Bytes(hello.begin(), hello.end() - 1), 30), TlsLook::NeedMore);
  }
}

TEST_F(TlsTest, TheFirstCertificateOfAServer) {
  const Bytes leaf =
      certificate({.common_name = "c2.example", .alternative_names = "DNS:b.example"});
  const Bytes root = certificate({.common_name = "root.example", .padding = 30000});
  std::string sha1 = "certificate-sha1 plain ";
  std::string sha256 = "certificate-sha256 plain ";
  ASSERT_TRUE(append_digest(DigestKind::Sha1, leaf, sha1));
  ASSERT_TRUE(append_digest(DigestKind::Sha256, leaf, sha256));
  const auto wanted = ElementsAre(sha1, sha256, "certificate-name name c2.example",
                                  "certificate-name name b.example");
  for (const std::size_t record : {16384U, 100U}) {
    const Bytes flight = in_records(server_messages({leaf, root}), record);
    for (const std::size_t piece : {1U, 1400U, 100000U}) {
      EXPECT_EQ(stream(flight, piece), TlsLook::Done);
      EXPECT_THAT(sink_.seen, wanted) << record << ' ' << piece;
    }
  }
}

TEST_F(TlsTest, WhatPeersIgnoreHidesNothing) {
  const Bytes warning{21, 3, 3, 0, 2, 1, 90};
  const auto hello = client_hello({.server_name = "behind.example", .record_size = 40});
  const auto first = hello.begin() + 5 + 40;
  EXPECT_EQ(look(Bytes(hello.begin(), first) + warning + Bytes(first, hello.end())), TlsLook::Done);
  EXPECT_THAT(names_, ElementsAre("tls-sni name behind.example"));

  const Bytes leaf = certificate({.common_name = "c2.example"});
  const Bytes request{22, 3, 3, 0, 4, 0, 0, 0, 0};
  EXPECT_EQ(look(request + in_records(server_messages({leaf}))), TlsLook::Done);
  EXPECT_THAT(sink_.seen, SizeIs(3)); // two hashes and a name
}

TEST_F(TlsTest, ANameBehindMoreThanIsWaitedForIsSaidToBeUnread) {
  const auto hello = [](std::size_t padding) {
    return in_records(message(1, hello_body({.ciphers = {0x1301},
                                             .extensions = {{std::uint16_t{21}, Bytes(padding, 0)},
                                                            sni("behind.example")}})));
  };
  EXPECT_EQ(stream(hello(20000), 1400), TlsLook::Done);
  EXPECT_THAT(sink_.seen, IsEmpty());
  EXPECT_EQ(sink_.blind, static_cast<std::uint8_t>(Blindness::Unreadable));
  EXPECT_EQ(stream(hello(14000), 1400), TlsLook::Done);
  EXPECT_EQ(sink_.seen[0], "tls-sni name behind.example");
  EXPECT_EQ(sink_.blind, 0);
}

TEST_F(TlsTest, ALongCertificateIsHashedAsItComes) {
  const Bytes leaf = certificate({.common_name = "long.example", .padding = 60000});
  std::string sha1 = "certificate-sha1 plain ";
  std::string sha256 = "certificate-sha256 plain ";
  ASSERT_TRUE(append_digest(DigestKind::Sha1, leaf, sha1));
  ASSERT_TRUE(append_digest(DigestKind::Sha256, leaf, sha256));
  for (const std::size_t record : {16384U, 5000U, 700U}) {
    const Bytes flight = in_records(server_messages({leaf}), record);
    for (const std::size_t piece : {1U, 1400U}) {
      most_held_ = 0;
      EXPECT_EQ(stream(flight, piece), TlsLook::Done);
      EXPECT_THAT(sink_.seen, ElementsAre(sha1, sha256)) << record << ' ' << piece;
      EXPECT_LT(most_held_, 1600U);
    }
    auto broken = flight;
    broken[5 + record] = 23; // something else instead of the second record
    const auto lost = scratch_.long_certificates.lost();
    EXPECT_EQ(stream(broken, 1400), TlsLook::Done);
    EXPECT_THAT(sink_.seen, IsEmpty());
    EXPECT_EQ(sink_.blind, static_cast<std::uint8_t>(Blindness::Unreadable));
    EXPECT_EQ(scratch_.long_certificates.lost(), lost + 1);
  }
}

TEST_F(TlsTest, AnAlertWithinALongCertificateHidesNothing) {
  const Bytes leaf = certificate({.common_name = "long.example", .padding = 60000});
  constexpr std::size_t kRecord = 5000;
  const Bytes flight = in_records(server_messages({leaf}), kRecord);
  const auto behind = [&](std::size_t records) {
    return flight.begin() + static_cast<std::ptrdiff_t>(records * (5 + kRecord));
  };
  const Bytes alert{21, 3, 3, 0, 2, 1, 90}; // a warning, no_renegotiation: OpenSSL goes on
  const Bytes all = Bytes(flight.begin(), behind(5)) + alert + Bytes(behind(5), behind(6)) + alert +
                    alert + Bytes(behind(6), flight.end());
  for (const std::size_t piece : {1U, 1400U, 30000U}) {
    EXPECT_EQ(stream(all, piece), TlsLook::Done);
    EXPECT_THAT(sink_.seen, SizeIs(2)) << piece;
    EXPECT_EQ(sink_.blind, 0);
  }
}

TEST_F(TlsTest, ACertificateTooLongToHashIsSaid) {
  const Bytes leaf = certificate({.common_name = "long.example", .padding = 300000});
  EXPECT_EQ(stream(in_records(server_messages({leaf})), 1400), TlsLook::Done);
  EXPECT_THAT(sink_.seen, IsEmpty());
  EXPECT_EQ(sink_.blind, static_cast<std::uint8_t>(Blindness::Unreadable));
  EXPECT_EQ(scratch_.long_certificates.lost(), 1U);
}

TEST_F(TlsTest, LongCertificatesAreBounded) {
  LongCertificates certificates;
  const auto first = certificates.begin();
  const auto second = certificates.begin();
  for (std::size_t i = 0; i + 1 < LongCertificates::kSlots; ++i) {
    (void)certificates.begin();
  }
  EXPECT_EQ(certificates.lost(), 1U);
  EXPECT_FALSE(certificates.add(first, bytes_of("abc")));
  EXPECT_TRUE(certificates.add(second, bytes_of("abc")));
  std::string text;
  RecordingSink sink;
  certificates.end(first, text, sink);
  EXPECT_THAT(sink.seen, IsEmpty());
  certificates.end(second, text, sink);
  EXPECT_EQ(sink.seen[0], "certificate-sha1 plain a9993e364706816aba3e25717850c26c9cd0d89d");
}

TEST_F(TlsTest, ServersWithoutACertificateToSee) {
  const Bytes tls13 = message(2, number(0x0303, 2) + Bytes(32, 3) + Bytes{0, 0x13, 0x01, 0} +
                                     Bytes{0, 6, 0, 43, 0, 2, 3, 4});
  EXPECT_EQ(stream(in_records(tls13), 10), TlsLook::Done);
  const Bytes resumed = message(2, number(0x0303, 2) + Bytes(32, 3) + Bytes{0, 0xc0, 0x2f, 0});
  EXPECT_EQ(stream(in_records(resumed), 10), TlsLook::NeedMore);
  EXPECT_EQ(stream(in_records(resumed) + Bytes{20, 3, 3, 0, 1, 1}, 10), TlsLook::Done);
  EXPECT_EQ(stream(in_records(server_messages({})), 1000), TlsLook::Done);
  const Bytes no_version = message(2, number(0x0304, 2) + Bytes(32, 3) + Bytes{0, 0x13, 0x01, 0});
  EXPECT_EQ(stream(in_records(no_version), 10), TlsLook::NeedMore); // it may show one
  auto lying = in_records(server_messages({Bytes(100, 1)}));
  lying[lying.size() - 102] = 0xff; // longer than its list
  EXPECT_EQ(stream(lying, 1000), TlsLook::Done);
  EXPECT_THAT(sink_.seen, IsEmpty());
}

TEST_F(TlsTest, TheServersVersionIsToldToWhoAsks) {
  const auto version_of = [](const Bytes &extensions, std::uint16_t legacy) {
    RecordingSink seen(ObservableKinds{ObservableKind::TlsVersion});
    TlsScratch scratch;
    TlsState state;
    const auto hello =
        message(2, number(legacy, 2) + Bytes(32, 3) + Bytes{0, 0x13, 0x01, 0} + extensions);
    (void)look_at_tls(state, in_records(hello), 40000, scratch, seen);
    return seen.seen.empty() ? std::string() : seen.seen[0];
  };
  EXPECT_EQ(version_of({0, 6, 0, 43, 0, 2, 3, 4}, 0x303), "tls-version plain TLS 1.3");
  EXPECT_EQ(version_of({0, 6, 0, 44, 0, 2, 3, 4}, 0x303), "tls-version plain TLS 1.2");
  EXPECT_EQ(version_of({}, 0x301), "tls-version plain TLSv1");
  EXPECT_EQ(version_of({}, 0x0102), "");
  EXPECT_EQ(version_of({}, 0x0304), ""); // RFC 8446, 4.1.3: not there
}

TEST_F(TlsTest, ServersAndOthers) {
  EXPECT_EQ(look(server_hello()), TlsLook::NeedMore);
  EXPECT_EQ(look({22, 3, 3, 0, 4, 0, 0, 0, 0}), TlsLook::NeedMore); // HelloRequest
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
  EXPECT_THAT(names_, IsEmpty());
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
