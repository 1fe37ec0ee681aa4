#pragma once
// The programs' own log, to stderr. Never carries alerts, and never a byte from guest or network
// that has not been escaped (facts/guest_text.h). Safe from any thread.

#include <string_view>

namespace outguard::log {

enum class Level { Debug, Info, Warning, Error };

/// Call once at start. `name` stands before every line.
void start(std::string_view name, Level least);

void debug(std::string_view message);
void info(std::string_view message);
void warning(std::string_view message);
void error(std::string_view message);

} // namespace outguard::log
