#include "launch/describe_process.h"

#include <iterator>
#include <utility>

namespace outguard::launch {

namespace {

/// A hash reads up to 256 MiB through a sensor that may have other work.
constexpr std::chrono::seconds kWait{60};
/// Four times the default of the guest's vm.max_map_count.
constexpr std::size_t kMostMaps = 262'144;

} // namespace

Result<ProcessInDepth> describe_process(SensorProcess &sensor, std::int32_t pid, Depth depth) {
  ProcessInDepth answer;
  if (depth.maps) {
    answer.maps.emplace();
  }
  const auto take = [&](Report report) -> Result<bool> {
    if (auto *detailed = std::get_if<ProcessDetailed>(&report)) {
      answer.detail = std::move(detailed->detail);
      return !depth.maps;
    }
    auto *more = std::get_if<MapRows>(&report);
    if (more == nullptr || !depth.maps ||
        answer.maps->rows.size() + more->rows.size() > kMostMaps) {
      return fail(ErrorCode::InvalidInput, "the sensor gave an answer to another question");
    }
    answer.maps->rows.insert(answer.maps->rows.end(), std::make_move_iterator(more->rows.begin()),
                             std::make_move_iterator(more->rows.end()));
    answer.maps->completeness = std::move(more->completeness);
    return more->last;
  };
  auto done = sensor.call_for_many(DescribeProcess{pid, depth.hash, depth.maps}, kWait, take);
  if (!done) {
    return tl::unexpected(done.error());
  }
  return answer;
}

} // namespace outguard::launch
