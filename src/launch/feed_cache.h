#pragma once
// The last good copy of each feed, with what its server said of it, in a folder of our own. Bytes
// are moved, never looked at. A crash at any point leaves the old copy or the new one, and never a
// mark that is newer than its copy. One thread a folder.

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "launch/feed_fetcher.h"

namespace outguard::launch {

class FeedCache {
public:
  /// A collection joined so often holds many versions of its objects: it is then fetched whole.
  static constexpr std::uint64_t kMostJoins = 200;

  /// Is created, for its owner only, where it does not exist.
  explicit FeedCache(std::string folder, std::uint64_t most_joins = kMostJoins)
      : folder_(std::move(folder)), most_joins_(most_joins) {}

  struct Copy {
    std::string path;
    Fd body;              ///< empty, and no mark: somebody else wrote to it, all is to be fetched
    FeedMark mark;        ///< to be told to the server
    WallTime came{};      ///< its bytes
    WallTime confirmed{}; ///< when its server last gave it, or said that it is the latest
  };
  /// Where it is, or would be.
  [[nodiscard]] std::string path_of(const std::string &url, FeedKind kind) const {
    return base(url, kind) + ".feed";
  }
  /// nullopt: there is none, or it is damaged, which costs no more than a whole fetch.
  [[nodiscard]] std::optional<Copy> find(const std::string &url, FeedKind kind) const;

  /// Keeps what came: body and mark of a New one, the mark of an Unchanged one. Returns the path of
  /// the copy that holds now. A Failed one changes nothing; there may then be no copy (NotFound).
  [[nodiscard]] Result<std::string> keep(const FetchFeed &request, const FetchedFeed &fetched);

private:
  struct Note; // what stands beside a copy

  [[nodiscard]] std::string base(const std::string &url, FeedKind kind) const;
  [[nodiscard]] std::optional<Note> read_note(const std::string &url, FeedKind kind) const;
  [[nodiscard]] Result<void> write_note(const std::string &url, FeedKind kind,
                                        const Note &note) const;

  std::string folder_;
  std::uint64_t most_joins_;
};

} // namespace outguard::launch
