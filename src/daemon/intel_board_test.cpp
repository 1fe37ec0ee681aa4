#include <thread>

#include <gtest/gtest.h>

#include "daemon/intel_board.h"

namespace outguard::daemon {
namespace {

using std::chrono::milliseconds;

IntelBoard::Note note() {
  return {"intelligence", monotonic_now()};
}

TEST(IntelBoard, ANewImageKeepsTheDelta) {
  IntelBoard board;
  EXPECT_EQ(board.now().number, 0U);
  board.publish_image(Fd(), note());
  const auto first = board.now();
  EXPECT_TRUE(first.image);
  EXPECT_FALSE(first.delta);
  EXPECT_EQ(first.image_number, first.number);
  board.publish_delta(std::make_shared<const Fd>(), true, note());
  const auto second = board.now();
  EXPECT_EQ(second.image, first.image);
  EXPECT_EQ(second.image_number, first.image_number);
  EXPECT_GT(second.number, first.number);
  EXPECT_TRUE(second.delta_adds);
  board.publish_image(Fd(), note());
  const auto third = board.now();
  EXPECT_NE(third.image, first.image);
  EXPECT_EQ(third.delta, second.delta);
  EXPECT_EQ(third.image_number, third.number);
  board.publish_delta(nullptr, false, note());
  EXPECT_FALSE(board.now().delta);
  EXPECT_EQ(board.now().image, third.image);
}

TEST(IntelBoard, WaitsForAnotherStateAndNoLonger) {
  IntelBoard board;
  std::stop_source stop;
  EXPECT_FALSE(board.wait_for_other(0, milliseconds(1), stop.get_token()));
  std::jthread publisher([&] { board.publish_image(Fd(), note()); });
  EXPECT_TRUE(board.wait_for_other(0, std::chrono::hours(1), stop.get_token()));
  publisher.join();
  EXPECT_TRUE(board.wait_for_other(0, milliseconds(0), stop.get_token()));
  stop.request_stop();
  EXPECT_FALSE(board.wait_for_other(1, std::chrono::hours(1), stop.get_token()));
}

/// What the log says after `act`.
template <class Act> std::string log_of(Act act) {
  testing::internal::CaptureStderr();
  act();
  return testing::internal::GetCapturedStderr();
}

TEST(IntelBoard, InForceIsSaidOnceEverySensorHasIt) {
  IntelBoard board;
  const int a = 0, b = 0;
  board.took(&a, 0);
  board.took(&b, 0);
  const auto all = [](const std::string &log) { return log.find(" ms, ") != log.npos; };
  EXPECT_FALSE(all(log_of([&] { board.publish_image(Fd(), note()); })));
  EXPECT_FALSE(all(log_of([&] { board.took(&a, 1); })));
  EXPECT_NE(log_of([&] { board.took(&b, 1); }).find("ms, 2 sensors"), std::string::npos);
  EXPECT_FALSE(all(log_of([&] { board.took(&b, 1); }))); // once
  board.publish_delta(nullptr, false, note());
  board.took(&a, 2);
  EXPECT_NE(log_of([&] { board.left(&b); }).find("ms, 1 sensor"), std::string::npos);
  // One that came before all had the last is told too, as what it was.
  board.publish_delta(nullptr, false, note());
  EXPECT_NE(
      log_of([&] { board.publish_delta(nullptr, false, note()); }).find("not in every sensor"),
      std::string::npos);
}

} // namespace
} // namespace outguard::daemon
