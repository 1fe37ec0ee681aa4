#include "launch/feed_cache.h"

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <vector>

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launch/state_file.h"

namespace outguard::launch {

namespace {

constexpr std::string_view kForm = "outguard-feed-2";
constexpr std::string_view kEnd = "end"; ///< a note without it was cut
constexpr std::size_t kMaxNoteBytes = 65'536;

/// FNV-1a; two feeds of one name only take each other's place, the note tells whose copy it is.
std::uint64_t name_hash(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  }
  return hash;
}

std::optional<std::uint64_t> number_of(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() ? std::optional(number)
                                                                  : std::nullopt;
}

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    lines.emplace_back(line);
    text.remove_prefix(std::min(line.size() + 1, text.size()));
  }
  return lines;
}

WallTime changed(const struct stat &about) {
  return WallTime(std::chrono::seconds(about.st_mtim.tv_sec) +
                  std::chrono::nanoseconds(about.st_mtim.tv_nsec));
}

std::uint64_t nanoseconds_of(WallTime time) {
  return static_cast<std::uint64_t>(std::chrono::nanoseconds(time.time_since_epoch()).count());
}

bool copy_all(int from, std::uint64_t bytes, int to) {
  off_t offset = 0;
  while (static_cast<std::uint64_t>(offset) < bytes) {
    if (::sendfile(to, from, &offset, bytes - static_cast<std::uint64_t>(offset)) <= 0) {
      return false;
    }
  }
  return true;
}

} // namespace

struct FeedCache::Note {
  FeedMark mark;
  std::uint64_t bytes = 0; ///< of the copy that it speaks of
  std::uint64_t joins = 0;
  std::uint64_t written = 0; ///< when the copy was, ns
};

std::string FeedCache::base(const std::string &url, FeedKind kind) const {
  char name[32];
  std::snprintf(name, sizeof name, "feed-%016llx",
                static_cast<unsigned long long>(name_hash(to_string(kind) + (' ' + url))));
  return folder_ + "/" + name;
}

std::optional<FeedCache::Note> FeedCache::read_note(const std::string &url, FeedKind kind) const {
  const auto text = read_small_file(base(url, kind) + ".note", kMaxNoteBytes).value_or("");
  const auto lines = lines_of(text);
  if (lines.size() != 10 || lines[0] != kForm || lines[9] != kEnd || lines[1] != to_string(kind) ||
      lines[2] != url) {
    return std::nullopt;
  }
  const auto bytes = number_of(lines[6]), joins = number_of(lines[7]);
  const auto written = number_of(lines[8]);
  if (!bytes || !joins || !written) {
    return std::nullopt;
  }
  return Note{{lines[3], lines[4], lines[5]}, *bytes, *joins, *written};
}

Result<void> FeedCache::write_note(const std::string &url, FeedKind kind, const Note &note) const {
  std::string text(kForm);
  for (const auto &line :
       {std::string(to_string(kind)), url, note.mark.etag, note.mark.last_modified,
        note.mark.added_after, std::to_string(note.bytes), std::to_string(note.joins),
        std::to_string(note.written), std::string(kEnd)}) {
    text += '\n' + line; // no line feed in any: URLs and headers are printable
  }
  text += '\n';
  return replace_file(base(url, kind) + ".note", text);
}

std::optional<FeedCache::Copy> FeedCache::find(const std::string &url, FeedKind kind) const {
  Copy copy;
  copy.path = path_of(url, kind);
  const auto note = read_note(url, kind);
  if (!note) {
    return std::nullopt;
  }
  copy.body = Fd(::open(copy.path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat about {};
  if (!copy.body || ::fstat(copy.body.get(), &about) != 0 || !S_ISREG(about.st_mode) ||
      static_cast<std::uint64_t>(about.st_size) != note->bytes) {
    return std::nullopt;
  }
  copy.came = changed(about);
  struct stat note_file {};
  if (::stat((base(url, kind) + ".note").c_str(), &note_file) == 0) {
    copy.confirmed = changed(note_file);
  }
  if (nanoseconds_of(copy.came) == note->written) {
    copy.mark = note->mark;
  } else {
    copy.body = Fd(); // nothing may be joined with it
  }
  if (note->joins >= most_joins_) {
    copy.mark.added_after.clear();
  }
  return copy;
}

Result<std::string> FeedCache::keep(const FetchFeed &request, const FetchedFeed &fetched) {
  const auto &answer = fetched.answer;
  auto path = path_of(request.url, request.kind);
  if (::mkdir(folder_.c_str(), 0700) != 0 && errno != EEXIST) {
    return fail_errno(folder_);
  }
  auto note = read_note(request.url, request.kind);
  if (answer.status == FetchStatus::New) {
    const bool joined = !request.mark.added_after.empty() && answer.new_items < answer.items;
    note = Note{answer.mark, answer.bytes, joined && note ? note->joins + 1 : 0, 0};
    const auto kept = replace_file(
        path, [&](int file) { return copy_all(fetched.body.get(), answer.bytes, file); });
    if (!kept) {
      return tl::unexpected(kept.error());
    }
    struct stat about {};
    if (::stat(path.c_str(), &about) == 0) {
      note->written = nanoseconds_of(changed(about));
    }
  } else if (!note) {
    return fail(ErrorCode::NotFound, "there is no copy of this feed");
  } else if (answer.status == FetchStatus::Failed) {
    return path;
  } else {
    note->mark = answer.mark;
  }
  return write_note(request.url, request.kind, *note).map([&] { return path; });
}

} // namespace outguard::launch
