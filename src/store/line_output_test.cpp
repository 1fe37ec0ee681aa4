#include <array>
#include <csignal>
#include <future>

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/fd.h"
#include "store/line_output.h"

namespace outguard::store {
namespace {

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe(ends.data()), 0);
    from = Fd(ends[0]);
    to = Fd(ends[1]);
  }
  Fd from, to;
};

TEST(LineOutputTest, LinesComeInOrderAndBeforeItEnds) {
  Pipe pipe;
  {
    LineOutput output(pipe.to.get());
    EXPECT_TRUE(output.write("one"));
    EXPECT_TRUE(output.write("two"));
  }
  std::array<char, 64> got{};
  ASSERT_EQ(::read(pipe.from.get(), got.data(), got.size()), 8);
  EXPECT_STREQ(got.data(), "one\ntwo\n");
}

TEST(LineOutputTest, WhoWritesNeverWaitsForAReader) {
  std::signal(SIGPIPE, SIG_IGN);
  static Pipe pipe; // the thread still writes to it when the test ends
  auto writing = std::async(std::launch::async, [&] {
    std::size_t taken = 0;
    LineOutput output(pipe.to.get());
    while (output.write(std::string(1023, 'x'))) {
      ++taken;
    }
    return taken;
  });
  ASSERT_EQ(writing.wait_for(std::chrono::seconds(60)), std::future_status::ready);
  const auto taken = writing.get() * 1024;
  EXPECT_GE(taken, LineOutput::kMostBytes);
  EXPECT_LE(taken, LineOutput::kMostBytes + (std::size_t{1} << 20)); // what a pipe holds
  pipe.from = Fd();
}

TEST(LineOutputTest, AReaderThatHasGoneIsNoHarm) {
  std::signal(SIGPIPE, SIG_IGN);
  Pipe pipe;
  pipe.from = Fd();
  LineOutput output(pipe.to.get());
  bool taken = true;
  for (int i = 0; i < 10000 && taken; ++i) {
    taken = output.write("alert");
    ::usleep(1000);
  }
  EXPECT_FALSE(taken);
}

} // namespace
} // namespace outguard::store
