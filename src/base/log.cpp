#include "base/log.h"

#include <memory>
#include <string>

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace outguard::log {

namespace {

spdlog::level::level_enum native(Level level) {
  switch (level) {
  case Level::Debug:
    return spdlog::level::debug;
  case Level::Info:
    return spdlog::level::info;
  case Level::Warning:
    return spdlog::level::warn;
  case Level::Error:
    return spdlog::level::err;
  }
  return spdlog::level::info;
}

spdlog::logger &logger() {
  static const auto shared = [] {
    auto created = std::make_shared<spdlog::logger>(
        "outguard", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    created->set_pattern("%H:%M:%S.%e %n %^%l%$ %v");
    return created;
  }();
  return *shared;
}

} // namespace

void start(std::string_view name, Level least) {
  logger().set_pattern("%H:%M:%S.%e " + std::string(name) + " %^%l%$ %v");
  logger().set_level(native(least));
}

void debug(std::string_view message) {
  logger().log(spdlog::level::debug, message);
}
void info(std::string_view message) {
  logger().log(spdlog::level::info, message);
}
void warning(std::string_view message) {
  logger().log(spdlog::level::warn, message);
}
void error(std::string_view message) {
  logger().log(spdlog::level::err, message);
}

} // namespace outguard::log
