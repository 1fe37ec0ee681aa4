#pragma once
// How many entries of which source were in force last, kept in a file of the state folder: a copy
// that shrank or broke while nobody ran must not be taken for the whole. Owned by whoever loads
// intelligence; one thread.

#include <string>

#include "base/result.h"
#include "launch/shrink_guard.h"

namespace outguard::launch {

class EntryMemory {
public:
  /// The file is `in-force` in this folder, which is made with it.
  explicit EntryMemory(std::string folder)
      : folder_(std::move(folder)), path_(folder_ + "/in-force") {}

  [[nodiscard]] const std::string &path() const { return path_; }
  /// Empty: nothing was in force yet. InvalidInput: the file is damaged.
  [[nodiscard]] Result<ShrinkGuard::Entries> read() const;
  /// Writes nothing where it is the same already.
  [[nodiscard]] Result<void> write(const ShrinkGuard::Entries &entries) const;

private:
  std::string folder_, path_;
};

} // namespace outguard::launch
