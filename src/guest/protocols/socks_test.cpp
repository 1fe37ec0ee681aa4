#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest/protocols/protocol_test_builder.h"
#include "guest/protocols/socks.h"
#include "guest/protocols/split_test_run.h"

namespace outguard::guest {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> seen(const Bytes &all, std::size_t cut = 0) {
  return seen_when_cut(all, cut, [phase = SocksPhase::None](auto bytes, auto &sink) mutable {
    std::string scratch;
    return look_at_socks(phase, bytes, scratch, sink);
  });
}

const Bytes kGreeting{5, 2, 0, 2};
const Bytes kPassword = Bytes{1, 4} + bytes_of("user") + Bytes{4} + bytes_of("pass");

TEST(Socks, TargetsAtEveryCut) {
  struct Case {
    Bytes bytes;
    std::string wanted;
  };
  const Case cases[] = {
      {kGreeting + kPassword + Bytes{5, 1, 0, 3, 10} + bytes_of("C2.Example") + Bytes{1, 0xbb},
       "proxy-target name c2.example"},
      {kGreeting + Bytes{5, 1, 0, 1, 192, 0, 2, 9, 0, 80}, "proxy-target address 192.0.2.9"},
      {Bytes{5, 1, 0, 5, 2, 0, 4, 0x20, 1, 0xd, 0xb8} + Bytes(11, 0) + Bytes{7, 0, 80},
       "proxy-target address 2001:db8::7"},
      {kGreeting + Bytes{5, 1, 0, 3, 9} + bytes_of("192.0.2.8") + Bytes{0, 80},
       "proxy-target address 192.0.2.8"},
      {kGreeting + Bytes{5, 1, 0, 3, 3} + bytes_of("a b") + Bytes{0, 80},
       "proxy-target odd a\\032b"},
      {Bytes{4, 1, 0, 80, 192, 0, 2, 7} + bytes_of("me") + Bytes{0},
       "proxy-target address 192.0.2.7"},
      {Bytes{4, 2, 0, 80, 0, 0, 0, 1, 0} + bytes_of("c2.example") + Bytes{0},
       "proxy-target name c2.example"},
  };
  for (const auto &[bytes, wanted] : cases) {
    for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
      ASSERT_THAT(seen(bytes, cut), ElementsAre(wanted)) << cut;
    }
  }
}

TEST(Socks, WhatIsNoRequestSaysNothing) {
  for (const auto &bytes :
       {kGreeting, kGreeting + Bytes{5, 9, 0, 1, 1, 2, 3, 4, 0, 80},
        kGreeting + Bytes{5, 1, 1, 1, 1, 2, 3, 4, 0, 80},
        kGreeting + Bytes{5, 1, 0, 2, 1, 2, 3, 4, 0, 80},
        kGreeting + Bytes{5, 3, 0, 1, 1, 2, 3, 4, 0, 80}, // UDP: the client's own address
        kGreeting + Bytes{5, 1, 0, 1, 0, 0, 0, 0, 0, 80}, Bytes{5, 0, 5, 1, 0, 1, 1, 2, 3, 4, 0, 1},
        Bytes{5, 1, 0x33, 5, 1, 0, 1, 1, 2, 3, 4, 0, 1},
        Bytes{4, 1, 0, 43, 0, 0, 1, 0, 0, 0, 0}, // TDS
        Bytes{4, 1, 0, 0, 1, 2, 3, 4, 0}, Bytes{4, 1, 0, 80, 1, 2, 3, 4, 7, 0},
        Bytes{4, 1, 0, 80, 0, 0, 0, 1, 0, 0}, Bytes{4, 1, 0, 80, 1, 2, 3, 4} + Bytes(300, 'u')}) {
    EXPECT_THAT(seen(bytes), IsEmpty());
  }
}

} // namespace
} // namespace outguard::guest
