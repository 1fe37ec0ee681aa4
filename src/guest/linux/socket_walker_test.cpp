#include <algorithm>

#include <gtest/gtest.h>

#include "guest/linux/linux_guest.h"
#include "guest/linux/socket_walker.h"
#include "guest/testing/linux_image.h"

namespace outguard::guest {
namespace {

Endpoint end(std::string_view text) {
  return Endpoint::parse(text).value();
}

struct SocketWalkerTest : testing::Test {
  SocketsSeen walk() { return LinuxGuest::attach(image.kernel())->sockets(); }
  static const SocketSeen *find(const std::vector<SocketSeen> &sockets, GuestVirtual sock) {
    const auto found = std::ranges::find(sockets, sock.raw(), &SocketSeen::sock);
    return found == sockets.end() ? nullptr : &*found;
  }

  LinuxImage image;
  GuestVirtual web = image.add_process({.pid = 80, .comm = "web"});
};

TEST_F(SocketWalkerTest, NothingIsAnEmptyCompleteAnswer) {
  const auto seen = walk();
  EXPECT_TRUE(seen.sockets.empty());
  EXPECT_TRUE(seen.completeness.complete());
}

TEST_F(SocketWalkerTest, TellsEverythingAboutASocket) {
  const GuestVirtual net = image.add_namespace(4026532118);
  const auto made = image.add_socket({.local = end("10.0.0.1:50000"),
                                      .remote = end("203.0.113.66:4444"),
                                      .inode = 1234,
                                      .net = net});
  image.hold(web, 5, made);
  const auto seen = walk();
  ASSERT_EQ(seen.sockets.size(), 1U);
  const SocketSeen &socket = seen.sockets.front();
  EXPECT_EQ(socket.family, IpFamily::V4);
  EXPECT_EQ(socket.protocol, 6);
  EXPECT_EQ(socket.state, SocketState::Established);
  EXPECT_EQ(socket.local.to_string(), "10.0.0.1:50000");
  EXPECT_EQ(socket.remote.to_string(), "203.0.113.66:4444");
  EXPECT_EQ(socket.inode, 1234U);
  EXPECT_EQ(socket.netns, 4026532118U);
  EXPECT_EQ(socket.owner_status, OwnerStatus::Exact);
  EXPECT_EQ(socket.sock, made.sock.raw());
  ASSERT_EQ(socket.owners.size(), 1U);
  EXPECT_EQ(socket.owners[0].process.pid, 80);
  EXPECT_EQ(socket.owners[0].fd, 5);
  EXPECT_EQ(socket.owners[0].comm.raw(), "web");
}

TEST_F(SocketWalkerTest, EveryTableIsRead) {
  const Endpoint any4 = end("0.0.0.0:53"), any6 = end("[::]:53"), none4 = end("0.0.0.0:0"),
                 none6 = end("[::]:0");
  std::uint32_t fd = 3;
  for (const SocketSpec &spec :
       {SocketSpec{.state = 10, .local = any4, .remote = none4},
        SocketSpec{.state = 10, .local = any6, .remote = none6},
        SocketSpec{.local = end("[2001:db8::1]:1"), .remote = end("[2001:db8::2]:2")},
        SocketSpec{.protocol = 17, .type = 2, .state = 7, .local = any4, .remote = none4},
        SocketSpec{.protocol = 17, .type = 2, .state = 7, .local = any6, .remote = none6},
        SocketSpec{.protocol = 1, .type = 3, .state = 7, .local = none4, .remote = none4},
        SocketSpec{.protocol = 58, .type = 3, .state = 7, .local = none6, .remote = none6}}) {
    image.hold(web, fd++, image.add_socket(spec));
  }
  const auto seen = walk();
  EXPECT_TRUE(seen.completeness.complete());
  ASSERT_EQ(seen.sockets.size(), 7U);
  EXPECT_TRUE(std::ranges::all_of(seen.sockets,
                                  [](const auto &socket) { return socket.owners.size() == 1; }));
  EXPECT_EQ(std::ranges::count(seen.sockets, true, &SocketSeen::raw), 2);
}

TEST_F(SocketWalkerTest, AllHoldersAreListedLowestPidFirst) {
  const GuestVirtual child = image.add_process({.pid = 70, .comm = "child"});
  const auto made = image.add_socket({.local = end("10.0.0.1:1"), .remote = end("10.0.0.2:2")});
  image.hold(web, 3, made);
  image.hold(web, 9, made);
  image.hold(child, 4, made);
  const auto seen = walk();
  ASSERT_EQ(seen.sockets.size(), 1U);
  const auto &owners = seen.sockets.front().owners;
  ASSERT_EQ(owners.size(), 3U);
  EXPECT_EQ(owners[0].process.pid, 70);
  EXPECT_EQ(owners[1].fd, 3);
  EXPECT_EQ(owners[2].fd, 9);
}

TEST_F(SocketWalkerTest, ThreadsWithTheirOwnTableCountForTheirProcess) {
  image.add_thread(web, 81);
  const GuestVirtual thread = image.add_thread(web, 82, true);
  const auto made = image.add_socket({.local = end("10.0.0.1:1"), .remote = end("10.0.0.2:2")});
  image.hold(thread, 3, made);
  const auto own = image.add_socket({.local = end("10.0.0.1:2"), .remote = end("10.0.0.2:2")});
  image.hold(web, 3, own);
  const auto seen = walk();
  ASSERT_EQ(seen.sockets.size(), 2U);
  for (const auto &socket : seen.sockets) {
    ASSERT_EQ(socket.owners.size(), 1U); // once, though two threads share that table
    EXPECT_EQ(socket.owners[0].process.pid, 80);
  }
}

TEST_F(SocketWalkerTest, ProcessesThatShareOneTable) {
  const GuestVirtual twin = image.add_process({.pid = 90});
  image.set(twin, "task_struct", "files", image.get(web, "task_struct", "files"));
  image.hold(web, 3, image.add_socket({.local = end("10.0.0.1:1"), .remote = end("10.0.0.2:2")}));
  EXPECT_EQ(walk().sockets.at(0).owners.size(), 2U);
}

TEST_F(SocketWalkerTest, LargeDescriptorTables) {
  image.grow_descriptors(web, 4096);
  image.hold(web, 3, image.add_socket({.local = end("10.0.0.1:1"), .remote = end("10.0.0.2:2")}));
  image.hold(web, 4000,
             image.add_socket({.local = end("10.0.0.1:2"), .remote = end("10.0.0.2:2")}));
  const auto seen = walk();
  ASSERT_EQ(seen.sockets.size(), 2U);
  EXPECT_EQ(seen.sockets[1].owners.at(0).fd, 4000);
}

TEST_F(SocketWalkerTest, MinisocksAreNotReadAsSocks) {
  const auto waiting = image.add_minisock(6, end("10.0.0.1:1"), end("10.0.0.2:2"), 5);
  const auto half = image.add_minisock(12, end("10.0.0.1:3"), end("10.0.0.2:4"));
  const auto seen = walk();
  EXPECT_TRUE(seen.completeness.complete());
  ASSERT_EQ(seen.sockets.size(), 2U);
  EXPECT_EQ(find(seen.sockets, waiting)->state, SocketState::FinWait2); // as /proc shows it
  EXPECT_EQ(find(seen.sockets, half)->state, SocketState::SynRecv);
  for (const auto &socket : seen.sockets) {
    EXPECT_EQ(socket.owner_status, OwnerStatus::None);
    EXPECT_EQ(socket.inode, 0U);
    EXPECT_EQ(socket.protocol, 6);
  }
}

TEST_F(SocketWalkerTest, SocketsThatNobodyHolds) {
  const auto orphan = image.add_socket(
      {.state = 4, .local = end("10.0.0.1:1"), .remote = end("10.0.0.2:2"), .has_socket = false});
  const auto kernel =
      image.add_socket({.local = end("10.0.0.1:2"), .remote = end("10.0.0.2:2"), .inode = 77});
  const auto passed =
      image.add_socket({.local = end("10.0.0.1:3"), .remote = end("10.0.0.2:2"), .inode = 78});
  image.set(passed.socket, "socket_alloc", "socket.file", image.open_file("/x").raw());
  const auto seen = walk();
  EXPECT_EQ(find(seen.sockets, orphan.sock)->owner_status, OwnerStatus::None);
  EXPECT_EQ(find(seen.sockets, orphan.sock)->inode, 0U);
  EXPECT_EQ(find(seen.sockets, kernel.sock)->owner_status, OwnerStatus::Kernel);
  EXPECT_EQ(find(seen.sockets, kernel.sock)->inode, 77U);
  EXPECT_EQ(find(seen.sockets, passed.sock)->owner_status, OwnerStatus::Unknown);
}

TEST_F(SocketWalkerTest, UnboundSocketsAreApart) {
  const auto idle = image.add_socket(
      {.state = 7, .local = end("0.0.0.0:0"), .remote = end("0.0.0.0:0"), .in_table = false});
  const auto hidden = image.add_socket(
      {.local = end("10.0.0.1:1"), .remote = end("10.0.0.2:2"), .in_table = false});
  const auto local = image.add_socket({.local = end("10.0.0.1:9"),
                                       .remote = end("10.0.0.2:2"),
                                       .in_table = false,
                                       .family = 1}); // AF_UNIX
  image.hold(web, 3, idle);
  image.hold(web, 4, hidden);
  image.hold(web, 5, local);
  const auto seen = walk();
  ASSERT_EQ(seen.unbound.size(), 1U);
  EXPECT_EQ(seen.unbound[0].sock, idle.sock.raw());
  ASSERT_EQ(seen.sockets.size(), 1U); // taken out of the table, and seen all the same
  EXPECT_EQ(seen.sockets[0].sock, hidden.sock.raw());
}

TEST_F(SocketWalkerTest, AFileThatIsAnothersIsNotTaken) {
  const auto made = image.add_socket({.local = end("10.0.0.1:1"), .remote = end("10.0.0.2:2")});
  image.hold(web, 3, made);
  image.set(made.socket, "socket_alloc", "socket.file", image.open_file("/x").raw());
  const auto seen = walk();
  EXPECT_TRUE(seen.sockets.at(0).owners.empty());
  EXPECT_EQ(seen.completeness.reason, PartialReason::KeptChanging);
}

TEST_F(SocketWalkerTest, SocketsWithoutTheSymbolByTheirInode) {
  FakeSymbolTable without; // everything but socket_file_ops
  for (const char *name : {"init_task", "init_net", "net_namespace_list", "tcp_hashinfo",
                           "udp_table", "raw_v4_hashinfo", "raw_v6_hashinfo"}) {
    without.add(name, image.symbols().find(name).value());
  }
  image.hold(web, 3, image.add_socket({.local = end("10.0.0.1:1"), .remote = end("10.0.0.2:2")}));
  Kernel kernel = image.kernel();
  kernel.symbols = std::make_unique<FakeSymbolTable>(without);
  EXPECT_EQ(LinuxGuest::attach(std::move(kernel))->sockets().sockets.at(0).owners.size(), 1U);
}

TEST_F(SocketWalkerTest, MemoryThatGoesAwayAnywhereMakesTheListPartial) {
  image.hold(web, 3, image.add_socket({.local = end("10.0.0.1:1"), .remote = end("10.0.0.2:2")}));
  auto guest = LinuxGuest::attach(image.kernel()).value();
  FakeMemory &memory = image.builder().memory();
  memory.clear_calls();
  static_cast<void>(guest.sockets());
  const std::size_t all = memory.calls().size();
  for (std::size_t count = 0; count < all; ++count) {
    memory.fail_after(count);
    EXPECT_FALSE(guest.sockets().completeness.complete()) << count;
  }
}

TEST_F(SocketWalkerTest, AMissingTableIsNamed) {
  FakeSymbolTable without;
  without.add("init_task", image.init_task());
  Kernel kernel = image.kernel();
  kernel.symbols = std::make_unique<FakeSymbolTable>(without);
  const auto seen = LinuxGuest::attach(std::move(kernel))->sockets();
  EXPECT_EQ(seen.completeness.reason, PartialReason::TableUnknown);
  EXPECT_EQ(seen.completeness.left_out, 3U); // tcp, udp, raw
}

TEST_F(SocketWalkerTest, TablesOfTheNamespacesOwn) {
  const auto list = image.types().member("net", "list").value();
  const std::uint32_t offset = list.offset + 64;
  image.types().add_member("net", "ipv4.tcp_death_row.hashinfo", {offset, 8, 0, 0});
  const GuestVirtual other = image.add_namespace(4026532118);
  for (const GuestVirtual net : {image.init_net(), other}) { // both use the one that there is
    image.builder().put(net.plus_wrapping(offset), image.symbols().find("tcp_hashinfo")->raw());
  }
  image.add_socket({.local = end("10.0.0.1:1"), .remote = end("10.0.0.2:2"), .has_socket = false});
  const auto seen = walk();
  EXPECT_TRUE(seen.completeness.complete());
  EXPECT_EQ(seen.sockets.size(), 1U);
}

TEST_F(SocketWalkerTest, AnArrayOfListenersInsideTheTable) { // 5.10
  const std::uint32_t offset = image.types().size_of("inet_hashinfo").value();
  image.types().add_member("inet_hashinfo", "listening_hash", {offset, 32 * 16, 0, 0});
  const auto old = image.symbols().find("tcp_hashinfo").value();
  const GuestVirtual table = image.builder().allocate(offset + 32 * 16);
  image.set(table, "inet_hashinfo", "ehash", image.get(old, "inet_hashinfo", "ehash"));
  image.set(table, "inet_hashinfo", "ehash_mask", LinuxImage::kEstablishedBuckets - 1);
  image.symbols().add("tcp_hashinfo", table);
  const auto made = image.add_socket({.state = 10,
                                      .local = end("0.0.0.0:80"),
                                      .remote = end("0.0.0.0:0"),
                                      .has_socket = false,
                                      .in_table = false});
  const GuestVirtual node = image.at(made.sock, "sock_common", "skc_node");
  const GuestVirtual head = table.plus_wrapping(offset + 88);
  image.builder().put_pointer(head, node);
  image.builder().put(node, std::uint64_t{1});
  image.builder().put_pointer(node.plus_wrapping(8), head);
  EXPECT_EQ(walk().sockets.at(0).state, SocketState::Listen);
}

TEST_F(SocketWalkerTest, AChainThatEndsInAnotherBucketIsBroken) {
  const auto made = image.add_socket({.local = end("10.0.0.1:1"), .remote = end("10.0.0.2:2")});
  const GuestVirtual node = image.at(made.sock, "sock_common", "skc_node");
  for (const std::uint64_t marker : {0U, 3U, 1025U}) {
    image.builder().put(node, marker); // its own is 1
    EXPECT_EQ(walk().completeness.reason, PartialReason::ListBroken) << marker;
  }
}

TEST_F(SocketWalkerTest, ATableWithoutAnEmptyBucketIsRead) {
  for (std::uint32_t count = 0; count < 2 * LinuxImage::kEstablishedBuckets; ++count) {
    image.add_minisock(6, end("10.0.0.1:1"), end("10.0.0.2:2"));
  }
  const auto seen = walk();
  EXPECT_TRUE(seen.completeness.complete());
  EXPECT_EQ(seen.sockets.size(), 2 * LinuxImage::kEstablishedBuckets);
}

TEST_F(SocketWalkerTest, ACyclicChainEnds) {
  const auto made = image.add_socket({.local = end("10.0.0.1:1"), .remote = end("10.0.0.2:2")});
  const GuestVirtual node = image.at(made.sock, "sock_common", "skc_node");
  image.builder().put_pointer(node, node);
  const auto seen = walk();
  EXPECT_EQ(seen.sockets.size(), 1U);
  EXPECT_EQ(seen.completeness.reason, PartialReason::ListBroken);
}

TEST_F(SocketWalkerTest, ALyingTableSizeIsCapped) {
  image.set(image.symbols().find("tcp_hashinfo").value(), "inet_hashinfo", "ehash_mask",
            0xffff'ffff);
  EXPECT_EQ(walk().completeness.reason, PartialReason::BudgetExhausted);
}

TEST_F(SocketWalkerTest, ALyingDescriptorCountIsCapped) {
  image.grow_descriptors(web, 512);
  const GuestVirtual files(image.get(web, "task_struct", "files"));
  image.set(GuestVirtual(image.get(files, "files_struct", "fdt")), "fdtable", "max_fds",
            0xffff'ffff);
  image.hold(web, 3, image.add_socket({.local = end("10.0.0.1:1"), .remote = end("10.0.0.2:2")}));
  const auto seen = walk();
  EXPECT_FALSE(seen.completeness.complete());
  EXPECT_EQ(seen.sockets.at(0).owners.at(0).fd, 3); // whatever lies behind the real slots
}

TEST_F(SocketWalkerTest, ManyDescriptorsOfOneFileCostNothing) {
  constexpr std::uint32_t kSlots = 4096;
  const auto made = image.add_socket({.local = end("10.0.0.1:1"), .remote = end("10.0.0.2:2")});
  const GuestVirtual full_of_nothing = image.add_process({.pid = 60});
  const GuestVirtual young = image.add_process({.pid = 90});
  image.grow_descriptors(web, kSlots);
  image.grow_descriptors(full_of_nothing, kSlots);
  const GuestVirtual nothing = image.open_file("/dev/null");
  for (std::uint32_t fd = 0; fd < kSlots; ++fd) {
    image.hold(web, fd, made);
    image.put_descriptor(full_of_nothing, fd, nothing);
  }
  image.hold(young, 3, made);
  auto guest = LinuxGuest::attach(image.kernel(), WalkBudget(500, 1 << 24)).value();
  const auto seen = guest.sockets();
  EXPECT_EQ(seen.completeness.reason, PartialReason::RepeatsLeftOut);
  ASSERT_EQ(seen.sockets.size(), 1U);
  EXPECT_EQ(seen.sockets[0].owners.size(), 64U + 1U);
  const auto answer = guest.attribute({6, end("10.0.0.1:1"), end("10.0.0.2:2")}, wall_now());
  EXPECT_EQ(answer.status, AttributionStatus::Exact); // every owner is known
  EXPECT_EQ(answer.processes.size(), 2U);
}

TEST_F(SocketWalkerTest, AHugeTableStarvesNoOtherProcess) {
  constexpr std::uint32_t kSlots = 1024;
  image.grow_descriptors(web, kSlots);
  for (std::uint32_t fd = 0; fd < kSlots; ++fd) {
    image.hold_plain_file(web, fd);
  }
  const GuestVirtual young = image.add_process({.pid = 90});
  image.hold(young, 3, image.add_socket({.local = end("10.0.0.1:1"), .remote = end("10.0.0.2:2")}));
  auto guest = LinuxGuest::attach(image.kernel(), WalkBudget(500, 1 << 24)).value();
  const auto seen = guest.sockets();
  EXPECT_EQ(seen.completeness.reason, PartialReason::BudgetExhausted);
  ASSERT_EQ(seen.sockets.size(), 1U);
  EXPECT_EQ(seen.sockets[0].owners.size(), 1U);
}

TEST_F(SocketWalkerTest, AnEmptyTableIsReadInBulk) {
  auto guest = LinuxGuest::attach(image.kernel()).value();
  static_cast<void>(guest.sockets());
  image.builder().memory().clear_calls();
  static_cast<void>(guest.sockets());
  EXPECT_LT(image.builder().memory().calls().size(), 200U); // 512 + 32 + 256 + 512 heads
}

} // namespace
} // namespace outguard::guest
