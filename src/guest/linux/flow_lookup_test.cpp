#include <gtest/gtest.h>

#include "guest/linux/linux_guest.h"
#include "guest/testing/linux_image.h"

namespace outguard::guest {
namespace {

Endpoint end(std::string_view text) {
  return Endpoint::parse(text).value();
}

/// A guest whose established table has one bucket, so that any hash names the right one, and enough
/// other processes that going through all of them shows.
struct FlowLookupTest : testing::Test {
  FlowLookupTest() {
    image.types().add_member("net", "hash_mix", alias("net", "count", 4));
    image.types().add_member("files_struct", "count.counter", alias("files_struct", "count", 4));
    image.types().add_member("file", "f_count.counter", alias("file", "f_path.mnt", 8));
    set_mask(0);
    for (std::int32_t pid = 200; pid < 300; ++pid) {
      others.push_back(add_process(pid));
    }
    use_alone(web);
  }
  /// A socket's file has no path here: its place serves as the count of references.
  Member alias(std::string_view type, std::string_view member, std::uint32_t size) {
    const Member there = image.types().member(type, member).value();
    return {there.offset, size, 0, 0};
  }
  void set_mask(std::uint32_t mask) {
    image.set(image.symbols().find("tcp_hashinfo").value(), "inet_hashinfo", "ehash_mask", mask);
  }
  void use_alone(GuestVirtual task) {
    image.set(GuestVirtual(image.get(task, "task_struct", "files")), "files_struct", "count", 1);
  }
  GuestVirtual add_process(std::int32_t pid) {
    const auto task = image.add_process({.pid = pid});
    use_alone(task);
    return task;
  }
  GuestVirtual hold(GuestVirtual task, const SocketObjects &socket, std::uint64_t references) {
    const GuestVirtual file = image.hold(task, 3, socket);
    image.set(file, "file", "f_path.mnt", references);
    return file;
  }
  SocketObjects connect(GuestVirtual task, std::string_view local) {
    const auto made = image.add_socket({.local = end(local), .remote = end(kRemote)});
    hold(task, made, 1);
    return made;
  }
  struct Answer {
    Attribution attribution;
    std::size_t reads = 0;
    std::vector<std::int32_t> pids;
  };
  /// For a packet of just now: nothing read before will do.
  Answer ask(std::string_view local = kLocal) {
    if (!attached) {
      attached.emplace(LinuxGuest::attach(image.kernel()).value());
      static_cast<void>(attached->sockets());
    }
    image.builder().memory().clear_calls();
    Answer answer{attached->attribute({6, end(local), end(kRemote)}, wall_now()), 0, {}};
    answer.reads = image.builder().memory().calls().size();
    for (const auto &process : answer.attribution.processes) {
      answer.pids.push_back(process.identity.pid);
    }
    EXPECT_EQ(answer.attribution.status, AttributionStatus::Exact);
    return answer;
  }

  static constexpr std::string_view kLocal = "10.0.0.1:50000";
  static constexpr std::string_view kRemote = "203.0.113.66:4444";
  static constexpr std::size_t kFew = 150;   ///< reads: far fewer than there are processes to read
  static constexpr std::size_t kWhole = 300; ///< and what a table of everything takes at least
  using Pids = std::vector<std::int32_t>;

  LinuxImage image;
  GuestVirtual web = image.add_process({.pid = 80, .comm = "web"});
  std::vector<GuestVirtual> others; ///< younger ones, oldest first
  std::optional<LinuxGuest> attached;
};

TEST_F(FlowLookupTest, AKnownSocketWithoutTheWholeTable) {
  connect(web, kLocal);
  const auto answer = ask();
  EXPECT_EQ(answer.pids, Pids{80});
  EXPECT_LT(answer.reads, kFew);
}

TEST_F(FlowLookupTest, AProcessAndASocketThatAreNew) {
  connect(web, "10.0.0.1:40000");
  static_cast<void>(ask("10.0.0.1:40000"));
  connect(add_process(90), kLocal);
  const auto answer = ask();
  EXPECT_EQ(answer.pids, Pids{90});
  EXPECT_LT(answer.reads, kFew);
}

TEST_F(FlowLookupTest, AProcessThatWasSeenBeforeItOpenedItsSocket) {
  image.shrink_established(1);
  connect(web, "10.0.0.1:40000");
  static_cast<void>(ask("10.0.0.1:40000"));
  const auto early = add_process(90);
  connect(add_process(91), "10.0.0.1:40001");
  static_cast<void>(ask("10.0.0.1:40001")); // no longer new, and never an owner
  connect(early, kLocal);
  const auto answer = ask();
  EXPECT_EQ(answer.pids, Pids{90});
  EXPECT_LT(answer.reads, kFew);
}

TEST_F(FlowLookupTest, ANewSocketOfAnOldProcess) {
  connect(web, "10.0.0.1:40000");
  static_cast<void>(ask("10.0.0.1:40000"));
  image.hold(web, 4, image.add_socket({.local = end(kLocal), .remote = end(kRemote)}));
  const GuestVirtual files(image.get(web, "task_struct", "files"));
  const GuestVirtual slot = image.at(files, "files_struct", "fd_array").plus_wrapping(32);
  image.set(GuestVirtual(image.builder().space().read_pointer(slot).value()), "file", "f_path.mnt",
            1);
  const auto answer = ask();
  EXPECT_EQ(answer.pids, Pids{80});
  EXPECT_LT(answer.reads, kFew);
}

TEST_F(FlowLookupTest, ASocketThatWasPassedWhenAnotherWasLookedFor) {
  image.shrink_established(1);
  connect(web, "10.0.0.1:40000");
  static_cast<void>(ask("10.0.0.1:40000"));
  connect(others[1], kLocal);
  connect(others[0], "10.0.0.1:40001");
  EXPECT_GT(ask("10.0.0.1:40001").reads, kFew);
  const auto answer = ask();
  EXPECT_EQ(answer.pids, Pids{201});
  EXPECT_LT(answer.reads, kFew);
}

TEST_F(FlowLookupTest, AHintThatIsNoLongerTrue) {
  image.shrink_established(1);
  connect(web, "10.0.0.1:40000");
  static_cast<void>(ask("10.0.0.1:40000"));
  const auto made = connect(others[50], kLocal);
  connect(others[0], "10.0.0.1:40001");
  static_cast<void>(ask("10.0.0.1:40001"));
  const GuestVirtual files(image.get(others[50], "task_struct", "files"));
  image.builder().put(image.at(files, "files_struct", "fd_array").plus_wrapping(24),
                      std::uint64_t{0});
  hold(others[10], made, 1); // handed on
  EXPECT_EQ(ask().pids, Pids{210});
}

TEST_F(FlowLookupTest, WhoeverTheReferencesSayIsThereIsFound) {
  const auto made = connect(web, kLocal);
  static_cast<void>(ask());
  hold(GuestVirtual(image.init_process()), made, 2); // pid 1 got it too: neither new nor an owner
  EXPECT_EQ(ask().pids, (Pids{1, 80}));
}

TEST_F(FlowLookupTest, MoreReferencesThanDescriptorsNeedTheWholeTable) {
  const auto made = connect(web, kLocal);
  static_cast<void>(ask());
  hold(web, made, 2); // a message on its way, or a call that a thread is in
  const auto answer = ask();
  EXPECT_EQ(answer.pids, Pids{80});
  EXPECT_GT(answer.reads, kWhole);
}

TEST_F(FlowLookupTest, ReferencesThatStartAtZero) {
  image.types().remove_member("file", "f_count.counter");
  image.types().add_member("file", "f_ref.refcnt.counter", alias("file", "f_path.mnt", 8));
  hold(web, image.add_socket({.local = end(kLocal), .remote = end(kRemote)}), 0);
  EXPECT_LT(ask().reads, kFew);
}

TEST_F(FlowLookupTest, ATableOfTwoProcessesNamesBoth) {
  connect(web, kLocal);
  const GuestVirtual files(image.get(web, "task_struct", "files"));
  image.set(image.add_process({.pid = 70}), "task_struct", "files", files.raw()); // CLONE_FILES
  image.set(files, "files_struct", "count", 2);
  EXPECT_EQ(ask().pids, (Pids{70, 80}));
}

TEST_F(FlowLookupTest, AHashThatIsNotThisKernelsIsNotUsed) {
  set_mask(LinuxImage::kEstablishedBuckets - 1); // the image does not hash at all
  connect(web, "10.0.0.1:40000");
  connect(web, "10.0.0.1:40001");
  connect(web, kLocal);
  const auto answer = ask();
  EXPECT_EQ(answer.pids, Pids{80});
  EXPECT_GT(answer.reads, kWhole);
}

TEST_F(FlowLookupTest, WhatNeedsTheWholeTableIsNotToldAtOnce) {
  connect(web, kLocal);
  static_cast<void>(ask());
  const FlowTuple known{6, end(kLocal), end(kRemote)};
  const FlowTuple unknown{6, end("10.0.0.1:40000"), end(kRemote)};
  image.builder().memory().clear_calls();
  const auto told = attached->attribute_at_once(known, wall_now());
  ASSERT_TRUE(told);
  EXPECT_EQ(told->processes.at(0).identity.pid, 80);
  EXPECT_FALSE(attached->attribute_at_once(unknown, wall_now()));
  EXPECT_LT(image.builder().memory().calls().size(), kFew);
  const auto asked = wall_now();
  static_cast<void>(attached->sockets()); // read since: that nobody has it can be told now
  const auto nobody = attached->attribute_at_once(unknown, asked);
  ASSERT_TRUE(nobody);
  EXPECT_EQ(nobody->status, AttributionStatus::NotFound);
}

TEST_F(FlowLookupTest, AtOnceNobodyIsLookedForAmongEverybody) {
  const auto made = connect(web, kLocal);
  static_cast<void>(ask());
  hold(web, made, 2); // a message on its way: the references are more than the descriptors
  image.builder().memory().clear_calls();
  EXPECT_FALSE(attached->attribute_at_once({6, end(kLocal), end(kRemote)}, wall_now()));
  EXPECT_LT(image.builder().memory().calls().size(), kWhole);
}

TEST_F(FlowLookupTest, AKernelWithoutTheMembersIsServedAllTheSame) {
  image.types().remove_member("net", "hash_mix");
  connect(web, kLocal);
  EXPECT_EQ(ask().pids, Pids{80});
}

TEST_F(FlowLookupTest, TheOwnerOfAFlowThatWasOnlyLookedUpIsRemembered) {
  connect(web, "10.0.0.1:40000");
  static_cast<void>(ask("10.0.0.1:40000"));
  const auto task = add_process(90);
  const auto made = connect(task, kLocal);
  EXPECT_LT(ask().reads, kFew);
  const GuestVirtual files(image.get(task, "task_struct", "files"));
  image.builder().put(image.at(files, "files_struct", "fd_array").plus_wrapping(24),
                      std::uint64_t{0});
  image.set(made.sock, "sock", "sk_socket", 0);
  image.set(made.sock, "sock_common", "skc_state", 4);
  const auto answer = attached->attribute({6, end(kLocal), end(kRemote)}, wall_now());
  EXPECT_EQ(answer.status, AttributionStatus::Cached);
  ASSERT_EQ(answer.processes.size(), 1U);
  EXPECT_EQ(answer.processes[0].identity.pid, 90);
}

} // namespace
} // namespace outguard::guest
