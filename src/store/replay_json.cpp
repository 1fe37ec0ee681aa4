#include "store/replay_json.h"

#include "base/clock.h"
#include "store/json_value.h"

namespace outguard::store {

namespace {

Json object_of(const std::vector<NamedCount> &counts) {
  Json object = Json::object();
  for (const auto &count : counts) {
    object[count.name] = count.value;
  }
  return object;
}

} // namespace

std::string eve_stats(const ReplayDone &done, const GuestText &capture) {
  const auto &counters = done.counters;
  Json stages = Json::object();
  for (const auto &stage : done.stages) {
    stages[stage.stage] = stage.ns / 1000;
  }
  const double seconds = static_cast<double>(done.elapsed_ns) / 1e9;
  Json event;
  event["timestamp"] = eve_timestamp(wall_now());
  event["event_type"] = "stats";
  event["capture"] = text(capture);
  event["problem"] = text_or_null(done.problem);
  event["packets"] = {{"seen", counters.seen},
                      {"processed", counters.processed},
                      {"dropped", object_of(counters.dropped)}};
  event["counters"] = object_of(counters.other);
  event["elapsed_us"] = done.elapsed_ns / 1000;
  event["packets_per_second"] =
      done.elapsed_ns == 0
          ? Json()
          : Json(static_cast<std::uint64_t>(static_cast<double>(counters.seen) / seconds));
  event["stages_us"] = std::move(stages);
  return line(event);
}

} // namespace outguard::store
