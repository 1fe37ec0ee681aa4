#include "text.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

namespace lab {
namespace {

constexpr size_t kMaxFile = 16u << 20; // no /proc file of a lab guest comes near

// Length of the valid UTF-8 sequence at `at`, 0 when there is none (overlong and surrogates are
// not).
size_t utf8_length(std::string_view bytes, size_t at) {
  auto byte = [&](size_t index) -> unsigned {
    return index < bytes.size() ? static_cast<unsigned char>(bytes[index]) : 0u;
  };
  auto is_tail = [&](size_t index) { return (byte(index) & 0xc0u) == 0x80u; };
  const unsigned first = byte(at), second = byte(at + 1);
  if (first >= 0xc2 && first <= 0xdf)
    return is_tail(at + 1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    if (!is_tail(at + 1) || !is_tail(at + 2))
      return 0;
    if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f))
      return 0;
    return 3;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    if (!is_tail(at + 1) || !is_tail(at + 2) || !is_tail(at + 3))
      return 0;
    if ((first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f))
      return 0;
    return 4;
  }
  return 0;
}

std::string unicode_escape(unsigned value) {
  char escape[8];
  std::snprintf(escape, sizeof escape, "\\u%04x", value & 0xffffu);
  return escape;
}

} // namespace

std::string read_file(const std::string &path) {
  std::string content;
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return content;
  char buffer[16384];
  while (content.size() < kMaxFile) {
    const ssize_t count = read(fd, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      break;
    content.append(buffer, static_cast<size_t>(count));
  }
  close(fd);
  return content;
}

std::string read_link(const std::string &path) {
  char target[4096];
  const ssize_t count = readlink(path.c_str(), target, sizeof target);
  return count > 0 ? std::string(target, static_cast<size_t>(count)) : std::string();
}

std::vector<std::string> folder_entries(const std::string &path) {
  std::vector<std::string> names;
  DIR *folder = opendir(path.c_str());
  if (folder == nullptr)
    return names;
  while (const dirent *entry = readdir(folder)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..")
      names.push_back(name);
  }
  closedir(folder);
  return names;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const size_t end = std::min(text.find(separator), text.size());
    if (end > 0)
      parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

std::string percent_decoded(std::string_view text) {
  std::string bytes;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '%' && at + 2 < text.size()) {
      const std::string digits(text.substr(at + 1, 2));
      bytes.push_back(static_cast<char>(std::strtoul(digits.c_str(), nullptr, 16)));
      at += 2;
    } else {
      bytes.push_back(text[at]);
    }
  }
  return bytes;
}

Duration parse_seconds(const std::string &text) {
  char *end = nullptr;
  const double seconds = std::strtod(text.c_str(), &end);
  if (end == text.c_str() || *end != '\0' || !(seconds >= 0 && seconds < 1e6)) {
    errno = EINVAL;
    fail("interval in seconds: " + text);
  }
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

long parse_number(const std::string &text) {
  char *end = nullptr;
  const long value = std::strtol(text.c_str(), &end, 10);
  if (end == text.c_str() || *end != '\0') {
    errno = EINVAL;
    fail("number: " + text);
  }
  return value;
}

std::string json_quoted(std::string_view bytes) {
  std::string quoted = "\"";
  for (size_t at = 0; at < bytes.size();) {
    const auto byte = static_cast<unsigned char>(bytes[at]);
    if (byte == '"' || byte == '\\') {
      quoted += '\\';
      quoted += bytes[at++];
    } else if (byte < 0x20 || byte == 0x7f) {
      quoted += unicode_escape(byte);
      ++at;
    } else if (byte < 0x80) {
      quoted += bytes[at++];
    } else if (const size_t length = utf8_length(bytes, at); length > 0) {
      quoted += bytes.substr(at, length);
      at += length;
    } else {
      quoted += unicode_escape(0xdc00u + byte);
      ++at;
    }
  }
  return quoted + '"';
}

JsonLine &JsonLine::raw(std::string_view key, std::string_view json) {
  if (!fields_.empty())
    fields_ += ',';
  fields_ += json_quoted(key);
  fields_ += ':';
  fields_ += json;
  return *this;
}

void fail(const std::string &what) {
  std::fprintf(stderr, "%s: %s\n", what.c_str(), std::strerror(errno));
  std::fflush(stderr);
  _exit(1);
}

} // namespace lab
