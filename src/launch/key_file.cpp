#include "launch/key_file.h"

#include <algorithm>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "launch/state_file.h"

namespace outguard::launch {

namespace {

constexpr std::size_t kMaxKeyFile = 16'384;
constexpr std::size_t kMaxHeaders = 16;

const char *key_header(FeedKind kind) {
  switch (kind) {
  case FeedKind::Misp:
    return "Authorization: ";
  case FeedKind::Taxii:
    return "Authorization: Bearer ";
  case FeedKind::File:
    break;
  }
  return "Auth-Key: ";
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const auto first = text.find_first_not_of(kBlank);
  return first == text.npos ? std::string_view()
                            : text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

} // namespace

Result<std::vector<std::string>> parse_key(std::string_view text, FeedKind kind,
                                           const std::string &name) {
  std::vector<std::string> headers;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto whole = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(whole.size() + 1, text.size()));
    const auto line = trimmed(whole);
    if (line.empty() || line.starts_with('#')) {
      continue;
    }
    const auto blank = line.find_first_of(" \t");
    if (blank == line.npos && line.find(':') == line.npos) {
      headers.push_back(key_header(kind) + std::string(line));
    } else if (blank != line.npos && blank > 1 && line[blank - 1] == ':') {
      headers.emplace_back(line);
    } else {
      return fail(ErrorCode::InvalidInput,
                  name + ":" + std::to_string(number) + ": neither 'Name: value' nor a key alone");
    }
  }
  if (headers.empty() || headers.size() > kMaxHeaders) {
    return fail(ErrorCode::InvalidInput,
                name + (headers.empty() ? ": holds no key" : ": holds too many headers"));
  }
  return headers;
}

Result<std::vector<std::string>> read_key_file(const std::string &path, FeedKind kind) {
  struct stat about {};
  if (::stat(path.c_str(), &about) != 0) {
    return fail_errno(path);
  }
  if ((about.st_mode & S_IRWXO) != 0) {
    return fail(ErrorCode::Refused, path + ": every user can read this key (chmod o= it)");
  }
  return read_small_file(path, kMaxKeyFile).and_then([&](const std::string &text) {
    return parse_key(text, kind, path);
  });
}

} // namespace outguard::launch
