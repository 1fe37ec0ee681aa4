#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest/protocols/protocol_test_builder.h"
#include "guest/protocols/split_test_run.h"
#include "guest/protocols/ssh.h"

namespace outguard::guest {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> seen(const Bytes &all, std::size_t cut, StreamRole sender) {
  return seen_when_cut(all, cut, [&, banner = true](auto bytes, auto &sink) mutable {
    std::string scratch;
    const Look look = banner ? look_at_ssh_banner(bytes, scratch, sink)
                             : look_at_ssh_packet(bytes, sender, scratch, sink);
    banner = banner && look.outcome != Look::Outcome::Consumed;
    return look;
  });
}

TEST(Ssh, BannerAndHasshOfBothSidesAtEveryCut) {
  const auto all = bytes_of("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n") + ssh_kex_init();
  for (std::size_t cut = 0; cut <= all.size(); ++cut) {
    ASSERT_THAT(seen(all, cut, StreamRole::Client),
                ElementsAre("ssh-banner plain OpenSSH_9.2p1 Debian-2",
                            "ssh-hassh plain 347b9447cd7f0b8e98f662b28c5977a4"))
        << cut;
    ASSERT_THAT(seen(all, cut, StreamRole::Server),
                ElementsAre("ssh-banner plain OpenSSH_9.2p1 Debian-2",
                            "ssh-hassh-server plain 6fdb63633ddcd66d6ea1ec01f0370b07"))
        << cut;
  }
}

TEST(Ssh, NoHasshWhereNobodyAsks) {
  std::string scratch;
  RecordingSink sink(ObservableKinds{ObservableKind::SshHasshServer});
  EXPECT_EQ(look_at_ssh_packet(ssh_kex_init(), StreamRole::Client, scratch, sink).outcome,
            Look::Outcome::Done);
  EXPECT_THAT(sink.seen, IsEmpty());
}

TEST(Ssh, BannersAreEscapedAndBounded) {
  EXPECT_THAT(seen(bytes_of("SSH-1.99-a\x1b[31m\n"), 0, StreamRole::Client),
              ElementsAre("ssh-banner plain a\\027[31m"));
  EXPECT_THAT(seen(bytes_of("SSH-2.0-" + std::string(300, 'x') + "\n"), 0, StreamRole::Client),
              IsEmpty());
  EXPECT_THAT(seen(bytes_of("SSL-2.0-x\n"), 0, StreamRole::Client), IsEmpty());
}

TEST(Ssh, WhatIsNoKexInitSaysNothing) {
  const auto banner = bytes_of("SSH-2.0-x\n");
  auto cut_list = ssh_kex_init();
  cut_list[22] = 0xff; // length of the first list
  for (const auto &packet : {ssh_packet(2, Bytes(100, 0)), cut_list, Bytes{0x7f, 0, 0, 0, 0, 20},
                             Bytes{0, 0, 0, 1, 20}, Bytes{0, 0, 0, 0, 20}}) {
    EXPECT_THAT(seen(banner + packet, 0, StreamRole::Client), ElementsAre("ssh-banner plain x"));
  }
}

} // namespace
} // namespace outguard::guest
