#include "launch/entry_memory.h"

#include <cerrno>
#include <charconv>
#include <string_view>

#include <sys/stat.h>

#include "launch/state_file.h"

namespace outguard::launch {

namespace {

constexpr std::string_view kForm = "outguard-in-force-1\n";
constexpr std::string_view kEnd = "end\n"; ///< a file without it was cut
constexpr std::size_t kMostBytes = std::size_t{8} << 20;

/// "COUNT NAME" a line; a name with a line feed is no source that could be told apart from others.
std::string text_of(const ShrinkGuard::Entries &entries) {
  std::string text(kForm);
  for (const auto &[source, count] : entries) {
    if (source.find('\n') == source.npos) {
      text += std::to_string(count) + ' ' + source + '\n';
    }
  }
  return text += kEnd;
}

} // namespace

Result<ShrinkGuard::Entries> EntryMemory::read() const {
  ShrinkGuard::Entries entries;
  struct stat about {};
  if (::lstat(path_.c_str(), &about) != 0 && errno == ENOENT) {
    return entries;
  }
  const auto read = read_small_file(path_, kMostBytes);
  if (!read) {
    return tl::unexpected(read.error());
  }
  const auto &text = *read;
  const auto damaged = fail(ErrorCode::InvalidInput, path_ + ": damaged");
  if (!text.starts_with(kForm) || !text.ends_with(kEnd) ||
      text.size() < kForm.size() + kEnd.size()) {
    return damaged;
  }
  std::string_view rest(text);
  rest = rest.substr(kForm.size(), rest.size() - kForm.size() - kEnd.size());
  while (!rest.empty()) {
    const auto line = rest.substr(0, rest.find('\n'));
    std::uint64_t count = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), count);
    const auto digits = static_cast<std::size_t>(end - line.data());
    if (error != std::errc{} || digits + 1 >= line.size() || line[digits] != ' ') {
      return damaged;
    }
    entries[std::string(line.substr(digits + 1))] = count;
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
  }
  return entries;
}

Result<void> EntryMemory::write(const ShrinkGuard::Entries &entries) const {
  const auto text = text_of(entries);
  if (text == read_small_file(path_, kMostBytes).value_or("")) {
    return {};
  }
  if (text.size() > kMostBytes) {
    return fail(ErrorCode::LimitReached, path_ + ": would be longer than 8 MiB");
  }
  if (::mkdir(folder_.c_str(), 0700) != 0 && errno != EEXIST) {
    return fail_errno(folder_);
  }
  return replace_file(path_, text);
}

} // namespace outguard::launch
