// Text helpers of the guest program: files to strings, the line protocol's escapes, JSON lines.
// Single-threaded, no ownership beyond the returned values.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace lab {

using Duration = std::chrono::microseconds;

// The whole file, or as much of it as could be read; files of /proc have no size to ask for.
std::string read_file(const std::string &path);

// The target of a symbolic link; empty when it cannot be read.
std::string read_link(const std::string &path);

// Names in a folder without "." and ".."; empty when it cannot be read.
std::vector<std::string> folder_entries(const std::string &path);

std::vector<std::string> split(std::string_view text, char separator);

// "%41" becomes "A"; how the host sends bytes that a line of words cannot carry.
std::string percent_decoded(std::string_view text);

// "0.25" is a quarter of a second. Ends the process when it is no number.
Duration parse_seconds(const std::string &text);

long parse_number(const std::string &text);

// A quoted JSON string. Valid UTF-8 stays; any other byte 0xNN becomes \udcNN, which Python's
// "surrogateescape" turns back into exactly that byte.
std::string json_quoted(std::string_view bytes);

// One JSON object a line, fields in the order of the calls.
class JsonLine {
public:
  explicit JsonLine(std::string_view kind) { text("kind", kind); }

  JsonLine &text(std::string_view key, std::string_view bytes) {
    return raw(key, json_quoted(bytes));
  }
  JsonLine &number(std::string_view key, long long value) {
    return raw(key, std::to_string(value));
  }
  JsonLine &boolean(std::string_view key, bool value) { return raw(key, value ? "true" : "false"); }
  JsonLine &raw(std::string_view key, std::string_view json);
  JsonLine &text_or_null(std::string_view key, std::string_view bytes) {
    return bytes.empty() ? raw(key, "null") : text(key, bytes);
  }

  std::string finish() const { return "{" + fields_ + "}\n"; }

private:
  std::string fields_;
};

// Prints what failed, with errno's text, and ends the process with status 1.
[[noreturn]] void fail(const std::string &what);

} // namespace lab
