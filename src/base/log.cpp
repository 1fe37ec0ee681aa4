#include "base/log.h"

#include <cstdlib>
#include <memory>
#include <string>

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "base/printable.h"

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
    const auto colour = std::getenv("NO_COLOR") == nullptr ? spdlog::color_mode::automatic
                                                           : spdlog::color_mode::never;
    auto created = std::make_shared<spdlog::logger>(
        "outguard", std::make_shared<spdlog::sinks::stderr_color_sink_mt>(colour));
    created->set_pattern("%H:%M:%S.%e %n %^%l%$ %v");
    return created;
  }();
  return *shared;
}

/// The last guard: what is not safe to show is escaped here, whoever forgot it.
void write(Level level, std::string_view message) {
  logger().log(native(level), is_printable(message) ? std::string(message) : to_printable(message));
}

} // namespace

void start(std::string_view name, Level least) {
  logger().set_pattern("%H:%M:%S.%e " + std::string(name) + " %^%l%$ %v");
  logger().set_level(native(least));
}

void debug(std::string_view message) {
  write(Level::Debug, message);
}
void info(std::string_view message) {
  write(Level::Info, message);
}
void warning(std::string_view message) {
  write(Level::Warning, message);
}
void error(std::string_view message) {
  write(Level::Error, message);
}

} // namespace outguard::log
