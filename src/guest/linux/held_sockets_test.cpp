// Sockets that no descriptor leads to, those of other families, and hidden ones, on built images.
#include <algorithm>

#include <gtest/gtest.h>

#include "guest/linux/linux_guest.h"
#include "guest/testing/holding_builder.h"
#include "guest/testing/linux_image.h"

namespace outguard::guest {
namespace {

Endpoint end(std::string_view text) {
  return Endpoint::parse(text).value();
}

struct HeldSocketsTest : testing::Test {
  SocketsSeen walk() { return LinuxGuest::attach(image.kernel())->sockets(); }
  SocketsSeen walk_all() { return LinuxGuest::attach(image.kernel())->all_sockets(); }
  SocketObjects connection(std::uint16_t port = 1) {
    return image.add_socket({.local = {end("10.0.0.1:1").address, port},
                             .remote = end("10.0.0.2:2"),
                             .inode = 1000U + port});
  }
  static const OtherSocketSeen &other(const SocketsSeen &seen, std::uint64_t inode) {
    const auto found = std::ranges::find(seen.others, inode, &OtherSocketSeen::inode);
    static const OtherSocketSeen none;
    EXPECT_NE(found, seen.others.end()) << inode;
    return found == seen.others.end() ? none : *found;
  }

  LinuxImage image;
  HoldingBuilder builder{image};
  GuestVirtual web = image.add_process({.pid = 80, .comm = "web"});
};

TEST_F(HeldSocketsTest, AMessageThatWaitsForItsReader) {
  const auto made = connection();
  const auto receiver = builder.add_unix(50);
  image.hold(web, 7, receiver);
  builder.send(receiver, {image.open_file("/etc/passwd")});
  builder.send(receiver, {image.open_file("/x"), builder.file_of(made, web)});
  const auto seen = walk();
  ASSERT_EQ(seen.sockets.size(), 1U);
  ASSERT_EQ(seen.sockets[0].owners.size(), 1U);
  EXPECT_EQ(seen.sockets[0].owners[0].process.pid, 80);
  EXPECT_EQ(seen.sockets[0].owners[0].fd, 7);
  EXPECT_EQ(seen.sockets[0].owners[0].hold, Hold::InFlight);
  EXPECT_EQ(seen.sockets[0].owner_status, OwnerStatus::Exact);
  EXPECT_EQ(seen.sockets[0].inode, 1001U);
  EXPECT_TRUE(seen.completeness.complete());
}

TEST_F(HeldSocketsTest, WhoeverCanReceiveIt) {
  const auto made = connection();
  const auto receiver = builder.add_unix(50);
  image.hold(web, 7, receiver);
  image.hold(image.add_process({.pid = 81}), 9, receiver);
  builder.send(receiver, {builder.file_of(made, web)});
  builder.send(receiver, {builder.file_of(made, web)}); // twice is one holder
  EXPECT_EQ(walk().sockets.at(0).owners.size(), 2U);
}

TEST_F(HeldSocketsTest, MessagesInMessagesAndACycle) {
  const auto made = connection();
  const auto outer = builder.add_unix(50), inner = builder.add_unix(51);
  image.hold(web, 7, outer);
  builder.send(outer, {builder.file_of(inner, web), builder.file_of(outer, web)});
  builder.send(inner, {builder.file_of(outer, web), builder.file_of(made, web)});
  image.hold(web, 7, outer);
  const auto seen = walk();
  ASSERT_EQ(seen.sockets.at(0).owners.size(), 1U);
  EXPECT_EQ(seen.sockets[0].owners[0].fd, 7);
  EXPECT_TRUE(seen.completeness.complete());
}

TEST_F(HeldSocketsTest, RegisteredWithAnIoUring) {
  const auto made = connection();
  const GuestVirtual file = builder.file_of(made, web);
  image.put_descriptor(web, 5, builder.add_ring({0, file.raw() | 3, 0}));
  const auto seen = walk();
  ASSERT_EQ(seen.sockets.at(0).owners.size(), 1U);
  EXPECT_EQ(seen.sockets[0].owners[0].fd, 5);
  EXPECT_EQ(seen.sockets[0].owners[0].hold, Hold::IoUring);
  auto guest = LinuxGuest::attach(image.kernel()).value();
  const auto answer = guest.attribute({6, end("10.0.0.1:1"), end("10.0.0.2:2")}, wall_now());
  EXPECT_EQ(answer.status, AttributionStatus::Exact);
  ASSERT_EQ(answer.processes.size(), 1U);
  EXPECT_EQ(answer.processes[0].identity.pid, 80);
}

TEST_F(HeldSocketsTest, AnIoUringOfAnUnknownFormIsSaid) {
  image.types().remove_type("io_ring_ctx");
  const auto made = connection();
  const GuestVirtual file = builder.file_of(made, web);
  const GuestVirtual ring = image.open_file("/io_uring");
  image.set(ring, "file", "f_op", image.symbols().find("io_uring_fops")->raw());
  image.set(ring, "file", "private_data", file.raw());
  image.put_descriptor(web, 5, ring);
  const auto seen = walk();
  EXPECT_EQ(seen.sockets.at(0).owner_status, OwnerStatus::Unknown);
  EXPECT_EQ(seen.completeness.reason, PartialReason::HoldersUnknown);
}

TEST_F(HeldSocketsTest, NothingIsSearchedWhereEveryHolderIsKnown) {
  image.hold(web, 3, connection());
  const auto receiver = builder.add_unix(50);
  image.hold(web, 7, receiver);
  image.set(receiver.sock, "sock", "sk_receive_queue.next", 0xffff'1234'0000'0000); // a trap
  EXPECT_TRUE(walk().completeness.complete());
  EXPECT_EQ(walk_all().completeness.reason, PartialReason::Unreadable);
}

TEST_F(HeldSocketsTest, LyingCountsAndLinksEnd) {
  const auto made = connection();
  const auto receiver = builder.add_unix(50);
  image.hold(web, 7, receiver);
  const GuestVirtual list = builder.send(receiver, {builder.file_of(made, web)});
  image.set(list, "scm_fp_list", "count", 0x7fff);
  EXPECT_EQ(walk().completeness.reason, PartialReason::KeptChanging);
  const GuestVirtual ring = builder.add_ring({0});
  image.set(builder.ring_of(ring), "io_ring_ctx", "nr_user_files", 0xffff'ffff);
  image.put_descriptor(web, 5, ring);
  EXPECT_EQ(walk().completeness.reason, PartialReason::BudgetExhausted);
  const GuestVirtual head = image.at(receiver.sock, "sock", "sk_receive_queue.next");
  const GuestVirtual buffer(image.get(receiver.sock, "sock", "sk_receive_queue.next"));
  image.builder().put_pointer(buffer, buffer); // a message that follows itself
  EXPECT_FALSE(walk().completeness.complete());
  image.builder().put_pointer(head, GuestVirtual{});
  EXPECT_FALSE(walk().completeness.complete());
}

TEST_F(HeldSocketsTest, TakenOutOfTheTableIsHidden) {
  auto spec = SocketSpec{.local = end("10.0.0.1:1"), .remote = end("10.0.0.2:2")};
  spec.in_table = false;
  const auto made = image.add_socket(spec);
  image.hold(web, 3, made);
  EXPECT_TRUE(walk().sockets.at(0).hidden);
  // The kernel is just putting it in, or taking it out.
  image.set(made.sock, "sock", "sk_lock.owned", 1);
  EXPECT_FALSE(walk().sockets.at(0).hidden);
  image.set(made.sock, "sock", "sk_lock.owned", 0);
  image.set(made.sock, "sock", "sk_lock.slock.rlock.raw_lock.val.counter", 1);
  EXPECT_FALSE(walk().sockets.at(0).hidden);
}

TEST_F(HeldSocketsTest, HoweverManyAreHiddenEachIsSaidOrTheAnswerIsPartial) {
  constexpr std::uint16_t kMany = 1500;
  image.grow_descriptors(web, kMany + 64);
  for (std::uint16_t i = 0; i < kMany; ++i) {
    auto spec =
        SocketSpec{.local = {IpAddress::parse("10.0.0.1").value(), i}, .remote = end("10.0.0.2:2")};
    spec.in_table = false;
    image.hold(web, 3U + i, image.add_socket(spec));
  }
  const auto seen = walk();
  EXPECT_EQ(seen.sockets.size(), kMany);
  EXPECT_TRUE(std::ranges::all_of(seen.sockets, &SocketSeen::hidden) ||
              !seen.completeness.complete());
}

TEST_F(HeldSocketsTest, LinkedToSomethingElseIsHiddenWhenAllIsAsked) {
  auto spec = SocketSpec{.local = end("10.0.0.1:1"), .remote = end("10.0.0.2:2")};
  spec.in_table = false;
  const auto made = image.add_socket(spec);
  image.hold(web, 3, made);
  const GuestVirtual node = image.at(made.sock, "sock_common", "skc_node");
  const GuestVirtual own_list = image.builder().allocate(8);
  image.builder().put_pointer(own_list, node);
  image.builder().put_pointer(node.plus_wrapping(8), own_list);
  EXPECT_FALSE(walk().sockets.at(0).hidden); // as if it was put in after the tables were read
  EXPECT_TRUE(walk_all().sockets.at(0).hidden);
}

TEST_F(HeldSocketsTest, WhatBelongsInNoTableIsNotHidden) {
  image.hold(web, 3, connection());
  image.hold(web, 4,
             image.add_socket({.state = 7,
                               .local = end("10.0.0.1:9"),
                               .remote = end("0.0.0.0:0"),
                               .in_table = false})); // bound
  image.hold(web, 5,
             image.add_socket({.protocol = 17,
                               .type = 2,
                               .state = 7,
                               .local = end("0.0.0.0:0"),
                               .remote = end("0.0.0.0:0"),
                               .in_table = false}));
  image.hold(web, 6,
             image.add_socket({.protocol = 132,
                               .state = 10,
                               .local = end("0.0.0.0:5"),
                               .remote = end("0.0.0.0:0"),
                               .in_table = false})); // SCTP
  const auto seen = walk_all();
  EXPECT_EQ(seen.sockets.size(), 2U);
  EXPECT_EQ(seen.unbound.size(), 2U);
  for (const auto &list : {seen.sockets, seen.unbound}) {
    EXPECT_TRUE(std::ranges::none_of(list, &SocketSeen::hidden));
  }
}

TEST_F(HeldSocketsTest, UnixNamesAndPeers) {
  const auto path = builder.add_unix(50), abstract = builder.add_unix(51, 10),
             unnamed = builder.add_unix(52), lying = builder.add_unix(53);
  builder.name_unix(path, std::string_view("/run/a\n\xff\0", 9), 2 + 9);
  builder.name_unix(abstract, std::string_view("\0b\0c", 4), 2 + 4);
  image.set(unnamed.sock, "unix_sock", "peer", path.sock.raw());
  for (std::uint32_t fd = 3; const auto &made : {path, abstract, unnamed}) {
    image.hold(web, fd++, made);
  }
  const auto seen = walk_all();
  EXPECT_EQ(other(seen, 50).local.raw(), "/run/a\n\xff");
  EXPECT_EQ(other(seen, 51).local.raw(), std::string_view("@b\0c", 4));
  EXPECT_EQ(other(seen, 51).state, SocketState::Listen);
  EXPECT_EQ(other(seen, 52).remote.raw(), "50");
  EXPECT_EQ(other(seen, 52).owners.at(0).fd, 5);
  EXPECT_FALSE(other(seen, 50).local.printable().find('\n') != std::string::npos);
  image.hold(web, 9, lying);
  builder.name_unix(lying, "x", 0x7fff'ffff);
  EXPECT_FALSE(walk_all().completeness.complete());
}

TEST_F(HeldSocketsTest, NetlinkGroups) {
  image.hold(web, 3, builder.add_netlink(60, 77'000, 0x8000'0001));
  const auto seen = walk_all();
  EXPECT_EQ(other(seen, 60).family, 16);
  EXPECT_EQ(other(seen, 60).protocol, 15);
  EXPECT_EQ(other(seen, 60).local.raw(), "77000");
  EXPECT_EQ(other(seen, 60).groups, 0x8000'0001U);
}

TEST_F(HeldSocketsTest, ATableThatGrowsIsReadWithItsSuccessors) {
  image.grow("netlink_table", "hash.tbl", 8);
  image.grow("bucket_table", "size", 4);
  image.grow("bucket_table", "nest", 4);
  image.grow("bucket_table", "future_tbl", 8);
  image.grow("bucket_table", "buckets", 0);
  constexpr std::uint64_t kBuckets = 4;
  const auto tables =
      image.builder().allocate(std::uint64_t{image.types().size_of("netlink_table").value()} * 32);
  const auto variable = image.builder().allocate(8);
  image.builder().put_pointer(variable, tables);
  image.symbols().add("nl_table", variable);
  GuestVirtual link = image.at(tables, "netlink_table", "hash.tbl");
  for (const std::uint64_t inode : {61U, 62U, 63U}) { // one in each table, held by nobody
    const auto socket = builder.add_netlink(inode, static_cast<std::uint32_t>(inode), 0);
    const auto node = image.at(socket.sock, "netlink_sock", "node");
    image.builder().put(node, std::uint64_t{1});
    const auto table = image.builder().allocate(64);
    image.builder().put_pointer(link, table);
    image.set(table, "bucket_table", "size", kBuckets);
    image.builder().put_pointer(image.at(table, "bucket_table", "buckets"), node);
    link = image.at(table, "bucket_table", "future_tbl");
  }
  const auto seen = walk_all();
  for (const std::uint64_t inode : {61U, 62U, 63U}) {
    EXPECT_EQ(other(seen, inode).local.raw(), std::to_string(inode));
  }
  const auto before = seen.completeness.left_out;
  image.builder().put_pointer(
      link, // its own successor
      GuestVirtual(link.raw() - image.types().member("bucket_table", "future_tbl")->offset));
  EXPECT_EQ(walk_all().completeness.left_out, before + 1);
}

TEST_F(HeldSocketsTest, ASnifferThatNobodyHolds) {
  builder.add_packet(70, 3, "eth0");
  const auto seen = walk_all();
  EXPECT_EQ(other(seen, 70).protocol, 3);
  EXPECT_EQ(other(seen, 70).local.raw(), "eth0");
  EXPECT_TRUE(other(seen, 70).owners.empty());
  EXPECT_EQ(other(seen, 70).netns, LinuxImage::kInitialNamespace);
}

TEST_F(HeldSocketsTest, AFamilyThatNobodyKnows) {
  SocketSpec spec;
  spec.family = 200;
  spec.in_table = false;
  spec.inode = 90;
  image.hold(web, 3, image.add_socket(spec));
  EXPECT_EQ(other(walk_all(), 90).owners.size(), 1U);
  EXPECT_TRUE(walk().sockets.empty());
}

TEST_F(HeldSocketsTest, WithoutTheirTypesOthersAreListedWithoutNames) {
  for (const char *type : {"unix_sock", "sk_buff"}) {
    image.types().remove_type(type);
  }
  const auto made = builder.add_unix(50);
  image.hold(web, 3, made);
  const auto seen = walk_all();
  EXPECT_EQ(other(seen, 50).owners.size(), 1U);
  EXPECT_TRUE(other(seen, 50).local.empty());
  EXPECT_FALSE(seen.completeness.complete()); // what its messages hold is not known
}

TEST_F(HeldSocketsTest, VsockAddressesByTheirShape) {
  SocketSpec spec;
  spec.family = 40;
  spec.in_table = false;
  spec.inode = 91;
  const auto made = image.add_socket(spec);
  image.hold(web, 3, made);
  const GuestVirtual behind =
      made.sock.plus_wrapping(image.types().size_of("sock").value() + 8); // behind the transport
  for (const std::uint64_t offset : {0U, 16U}) {
    image.builder().put(behind.plus_wrapping(offset), std::uint16_t{40});
    image.builder().put(behind.plus_wrapping(offset + 4),
                        static_cast<std::uint32_t>(1024 + offset));
    image.builder().put(behind.plus_wrapping(offset + 8), static_cast<std::uint32_t>(2 + offset));
  }
  const auto seen = walk_all();
  EXPECT_EQ(other(seen, 91).local.raw(), "2:1024");
  EXPECT_EQ(other(seen, 91).remote.raw(), "18:1040");
}

} // namespace
} // namespace outguard::guest
