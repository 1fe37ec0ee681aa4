#include <csignal>
#include <functional>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sanitized.h"
#include "sensor/flow_notes.h"
#include "sensor/opening_notes.h"
#include "sensor/sandbox.h"

namespace outguard::sensor {
namespace {

/// Runs `work` in a child that is inside the sandbox; the signal that ended it, or 0 for a good
/// end.
int signal_of(Role role, const std::function<void(int control)> &work) {
  int ends[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
  const Fd theirs(ends[0]);
  const Fd ours(ends[1]);
  const pid_t child = ::fork();
  if (child == 0) {
    if (!enter_sandbox(role, ours.get())) {
      ::_exit(3);
    }
    work(ours.get());
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_FALSE(WIFEXITED(status) && WEXITSTATUS(status) != 0) << WEXITSTATUS(status);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

class SandboxTest : public testing::Test {
protected:
  void SetUp() override {
    if (kSanitized) {
      GTEST_SKIP() << "sanitizers need system calls that the sandbox forbids";
    }
  }
};

TEST_F(SandboxTest, LetsASensorDoItsWork) {
  EXPECT_EQ(signal_of(Role::Guard,
                      [](int control) {
                        static_cast<void>(
                            ::send(control, "x", 0, MSG_DONTWAIT)); // sendto: see below
                      }),
            SIGSYS);
  EXPECT_EQ(signal_of(Role::Guard,
                      [](int control) {
                        char byte = 'x';
                        iovec part{&byte, 1};
                        msghdr header{};
                        header.msg_iov = &part;
                        header.msg_iovlen = 1;
                        static_cast<void>(::sendmsg(control, &header, MSG_DONTWAIT));
                        void *memory = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE,
                                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                        ::munmap(memory, 4096);
                      }),
            0);
}

TEST_F(SandboxTest, KillsWhatASensorNeverDoes) {
  const std::pair<const char *, std::function<void(int)>> forbidden[] = {
      {"open a file", [](int) { ::syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY); }},
      {"make a socket", [](int) { ::syscall(SYS_socket, AF_INET, SOCK_DGRAM, 0); }},
      {"send on another socket", // as a frame on its packet ring
       [](int) {
         msghdr header{};
         ::syscall(SYS_sendmsg, 0, &header, 0);
       }},
      {"send to another socket", [](int) { ::syscall(SYS_sendto, 0, "x", 1, 0, nullptr, 0); }},
      {"write on another socket", [](int) { ::syscall(SYS_writev, 0, nullptr, 0); }},
      {"change another socket", [](int) { ::syscall(SYS_setsockopt, 0, 1, 1, nullptr, 0); }},
      {"receive on another socket",
       [](int) {
         msghdr header{};
         ::syscall(SYS_recvmsg, 0, &header, 0);
       }},
      {"write to the terminal", [](int) { ::syscall(SYS_write, 2, "x", 1); }},
      {"signal anybody", [](int) { ::syscall(SYS_tgkill, ::getppid(), ::getppid(), 0); }},
      {"run a program", [](int) { ::syscall(SYS_execve, "/bin/true", nullptr, nullptr); }},
      {"start a process", [](int) { ::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0); }},
      {"trace", [](int) { ::syscall(SYS_ptrace, 0, 0, 0, 0); }},
      {"write another's memory", [](int) { ::syscall(SYS_process_vm_writev, 1, 0, 0, 0, 0, 0); }},
      {"map code",
       [](int) {
         ::syscall(SYS_mmap, nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                   0);
       }},
      {"write a file at a place", [](int) { ::syscall(SYS_pwrite64, 0, "x", 1, 0); }}};
  for (const auto &[name, work] : forbidden) {
    EXPECT_EQ(signal_of(Role::Guard, work), SIGSYS) << name;
  }
}

TEST_F(SandboxTest, OnlyTheCompilerWrites) {
  const auto work = [](int) { ::syscall(SYS_write, 0, "x", 1); };
  EXPECT_EQ(signal_of(Role::CompileIntel, work), 0);
  EXPECT_EQ(signal_of(Role::Guard, work), SIGSYS);
}

TEST(FlowNotes, ReusesNumbersAndForgets) {
  FlowNotes notes;
  const auto first = notes.open();
  ASSERT_NE(first, 0U);
  notes.find(first)->named = 7;
  notes.close(first);
  EXPECT_EQ(notes.open(), first);
  EXPECT_EQ(notes.find(first)->named, 0U);
  EXPECT_EQ(notes.find(0), nullptr);
  EXPECT_EQ(notes.find(99), nullptr);
}

TEST(FlowNotes, LongTextIsDroppedBeforeMemoryIs) {
  FlowNotes notes;
  Attribution attribution;
  auto &process = attribution.processes.emplace_back();
  process.identity.pid = 7;
  process.cmdline = std::vector<GuestText>(256, GuestText(std::string(8192, 'x')));
  std::size_t with_text = 0;
  for (int i = 0; i < 100; ++i) { // 100 times 2 MiB
    FlowNote &note = *notes.find(notes.open());
    notes.keep(note, attribution);
    with_text += note.attribution.processes[0].cmdline ? 1U : 0U;
    EXPECT_EQ(note.attribution.processes[0].identity.pid, 7);
  }
  EXPECT_LT(with_text, 70U);
  EXPECT_GT(with_text, 50U);
}

Opening opening_of(std::uint16_t port, std::uint32_t sequence) {
  Opening opening;
  opening.tuple.protocol = 6;
  opening.tuple.local.port = port;
  opening.sequence = sequence;
  return opening;
}

TEST(OpeningNotes, AnAnswerIsForOneConnectionAndOnce) {
  OpeningNotes notes;
  const auto now = monotonic_now();
  notes.keep(opening_of(4000, 1), {11, 0, now});
  notes.keep(opening_of(4000, 2), {12, 0, now}); // the same ends at once again
  EXPECT_FALSE(notes.take(opening_of(4000, 3)));
  EXPECT_FALSE(notes.take(opening_of(4001, 1)));
  EXPECT_EQ(notes.take(opening_of(4000, 2))->note, 12U);
  EXPECT_FALSE(notes.has(opening_of(4000, 2)));
  EXPECT_FALSE(notes.take(opening_of(4000, 2)));
  EXPECT_EQ(notes.take(opening_of(4000, 1))->note, 11U);
  EXPECT_FALSE(notes.take_surplus(now));
}

TEST(OpeningNotes, WhatNobodyTakesIsGivenBack) {
  OpeningNotes notes;
  const auto start = monotonic_now();
  for (std::uint32_t i = 1; i <= OpeningNotes::kMost; ++i) {
    notes.keep(opening_of(4000, i), {i, 0, start});
  }
  EXPECT_FALSE(notes.take_surplus(start));
  EXPECT_TRUE(notes.take(opening_of(4000, 1)));
  notes.keep(opening_of(5000, 1), {5000, 0, start});
  EXPECT_FALSE(notes.take_surplus(start)) << "the first one's place was free";
  notes.keep(opening_of(5000, 2), {5001, 0, start});
  EXPECT_EQ(notes.take_surplus(start)->note, 2U) << "the oldest one that is left";
  EXPECT_FALSE(notes.take_surplus(start));
  const auto later = start + OpeningNotes::kMostAge + std::chrono::nanoseconds(1);
  std::size_t aged = 0;
  while (notes.take_surplus(later)) {
    ++aged;
  }
  EXPECT_EQ(aged, OpeningNotes::kMost);
  EXPECT_FALSE(notes.has(opening_of(5000, 2)));
}

} // namespace
} // namespace outguard::sensor
