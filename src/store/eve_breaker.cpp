#include "store/eve_breaker.h"

#include "store/json_value.h"

namespace outguard::store {

std::string eve_breaker(const BreakerOpened &opened, WallTime now) {
  Json event;
  event["timestamp"] = eve_timestamp(now);
  event["event_type"] = "breaker";
  event["breaker"] = {{"action", to_string(opened.action)},
                      {"scope", opened.scope},
                      {"name", text_or_null(opened.name)},
                      {"most_per_minute", opened.most},
                      {"rest_s", opened.rest.count()}};
  return line(event);
}

} // namespace outguard::store
