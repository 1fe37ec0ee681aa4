// The image that fuzzers spoil is read whole while it is honest: what is not read is not fuzzed.
#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest/linux/linux_guest.h"
#include "guest/testing/full_image.h"
#include "guest/testing/image_mutator.h"

namespace outguard::guest {
namespace {

using testing::Contains;
using testing::IsEmpty;

struct FullImageTest : testing::TestWithParam<FullImage::Form> {
  const ProcessSeen &process(const ProcessesSeen &seen, std::int32_t pid) {
    const auto found = std::ranges::find(seen.processes, pid,
                                         [](const ProcessSeen &each) { return each.identity.pid; });
    static const ProcessSeen none;
    EXPECT_NE(found, seen.processes.end()) << pid;
    return found == seen.processes.end() ? none : *found;
  }

  FullImage image{GetParam()};
  LinuxGuest guest = LinuxGuest::attach(image.kernel()).value();
};

INSTANTIATE_TEST_SUITE_P(Forms, FullImageTest,
                         testing::Values(FullImage::Form::Lists, FullImage::Form::Trees),
                         [](const auto &form) {
                           return form.param == FullImage::Form::Lists ? "Lists" : "Trees";
                         });

TEST_P(FullImageTest, TheKernel) {
  const auto checked = guest.self_check();
  EXPECT_TRUE(checked) << checked.error().what;
  EXPECT_TRUE(guest.pulse().beat);
  EXPECT_TRUE(guest.is_run_by(image.registers()));
  EXPECT_GE(guest.integrity().checked, 8U);
  EXPECT_THAT(guest.integrity().broken, IsEmpty());
}

TEST_P(FullImageTest, ProcessesInEveryView) {
  for (const ViewScope scope : {ViewScope::Kernel, ViewScope::Memory}) {
    const auto seen = guest.processes(scope);
    EXPECT_TRUE(seen.completeness.complete());
    EXPECT_EQ(process(seen, 80).hidden, false);
    EXPECT_EQ(process(seen, 81).hidden, true);
    EXPECT_EQ(process(seen, 84).hidden, true);
  }
}

TEST_P(FullImageTest, SocketsOfEveryFamilyAndHolder) {
  const auto seen = guest.all_sockets();
  EXPECT_TRUE(seen.completeness.complete())
      << static_cast<int>(seen.completeness.reason) << " " << seen.completeness.left_out;
  std::vector<Hold> holds;
  for (const auto &socket : seen.sockets) {
    for (const auto &owner : socket.owners) {
      holds.push_back(owner.hold);
    }
  }
  for (const Hold hold : {Hold::Descriptor, Hold::InFlight, Hold::IoUring}) {
    EXPECT_THAT(holds, Contains(hold));
  }
  std::vector<std::uint16_t> families;
  for (const auto &other : seen.others) {
    families.push_back(other.family);
    if (other.family == 40) {
      EXPECT_EQ(other.local, GuestText("3:1024"));
    }
  }
  for (const unsigned family : {1U, 16U, 17U, 40U}) {
    EXPECT_THAT(families, Contains(family));
  }
}

TEST_P(FullImageTest, MapsAndFiles) {
  const auto seen = guest.processes();
  for (const std::int32_t pid : {80, 81, 82, 84}) {
    const auto &identity = process(seen, pid).identity;
    const auto maps = guest.maps(identity);
    ASSERT_TRUE(maps);
    EXPECT_TRUE(maps->completeness.complete());
    EXPECT_EQ(maps->maps.size(), 9U);
    const auto hash = guest.hash_executable(identity);
    EXPECT_EQ(hash.status, FileHash::Status::Complete) << pid;
    EXPECT_EQ(hash.file_bytes, (pid == 84 ? 9U : 20U) * 4096 - 100);
  }
  const auto detail = guest.describe(82);
  ASSERT_TRUE(detail);
}

TEST_P(FullImageTest, FlowsAndTheirOwners) {
  static_cast<void>(guest.sockets());
  for (const FlowTuple &flow : image.flows()) {
    const auto answer = guest.attribute(flow, wall_now());
    const bool is_heard = flow.local.port == 256;
    EXPECT_EQ(answer.status, is_heard ? AttributionStatus::Listener : AttributionStatus::Exact)
        << flow.local.to_string();
  }
  if (GetParam() == FullImage::Form::Trees) { // by hash, without all tables
    image.builder().memory().clear_calls();
    static_cast<void>(guest.attribute(image.flows().front(), wall_now()));
    const std::size_t reads = image.builder().memory().calls().size();
    image.builder().memory().clear_calls();
    static_cast<void>(guest.sockets());
    EXPECT_LT(reads, image.builder().memory().calls().size());
  }
}

TEST_P(FullImageTest, EveryChangeIsTakenBack) {
  const auto bytes = [&] {
    std::vector<std::vector<std::uint8_t>> all;
    for (const auto &object : image.objects()) {
      all.emplace_back(object.size);
      static_cast<void>(
          image.builder().space().read(object.address, all.back())); // some have holes
    }
    return all;
  };
  const auto honest = bytes();
  ImageMutator mutator(image.builder(), image.objects());
  std::vector<std::uint8_t> input;
  for (std::uint32_t byte = 0; byte < 14 * 200; ++byte) {
    input.push_back(static_cast<std::uint8_t>(byte * 167 + byte / 256 * 31));
  }
  ByteCursor cursor(input);
  std::size_t changes = 0;
  while (mutator.change(cursor)) {
    ++changes;
  }
  static_cast<void>(guest.processes());
  EXPECT_GT(changes, 150U);
  EXPECT_FALSE(bytes() == honest);
  mutator.restore();
  EXPECT_TRUE(bytes() == honest);
}

} // namespace
} // namespace outguard::guest
