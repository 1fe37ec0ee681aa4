#pragma once
// An eBPF map by its descriptor, with typed keys and values. Owns the descriptor. The only writer
// is one thread of one supervisor; the kernel's side reads at any time.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace outguard::respond {

/// NotFound for a key that is not there, LimitReached for a map that is full.
[[nodiscard]] Result<void> read_map(const Fd &map, const void *key, void *value);
[[nodiscard]] Result<void> write_map(const Fd &map, const void *key, const void *value);
[[nodiscard]] Result<void> erase_from_map(const Fd &map, const void *key);
/// The key after `key`, or the first (nullptr). NotFound: no more.
[[nodiscard]] Result<void> next_in_map(const Fd &map, const void *key, void *next);

template <class Key, class Value> class KernelMap {
public:
  struct Entry {
    Key key{};
    Value value{};
  };

  KernelMap() = default;
  explicit KernelMap(Fd map) : map_(std::move(map)) {}

  [[nodiscard]] Result<std::optional<Value>> get(const Key &key) const {
    Value value{};
    if (auto done = read_map(map_, &key, &value); !done) {
      return done.error().code == ErrorCode::NotFound ? Result<std::optional<Value>>(std::nullopt)
                                                      : tl::unexpected(done.error());
    }
    return value;
  }
  [[nodiscard]] Result<void> set(const Key &key, const Value &value) const {
    return write_map(map_, &key, &value);
  }
  /// Fine if it is not there.
  [[nodiscard]] Result<void> erase(const Key &key) const {
    auto done = erase_from_map(map_, &key);
    return done || done.error().code == ErrorCode::NotFound ? Result<void>() : done;
  }
  /// At most `most` entries.
  [[nodiscard]] Result<std::vector<Entry>> entries(std::size_t most) const {
    std::vector<Entry> found;
    Entry entry;
    bool first = true;
    while (found.size() < most) {
      Key next{};
      if (auto more = next_in_map(map_, first ? nullptr : &entry.key, &next); !more) {
        return more.error().code == ErrorCode::NotFound
                   ? Result<std::vector<Entry>>(std::move(found))
                   : tl::unexpected(more.error());
      }
      first = false;
      entry.key = next;
      const auto value = get(next);
      if (!value) {
        return tl::unexpected(value.error());
      }
      if (*value) {
        entry.value = **value;
        found.push_back(entry);
      }
    }
    return found;
  }
  [[nodiscard]] const Fd &fd() const { return map_; }

private:
  Fd map_;
};

} // namespace outguard::respond
