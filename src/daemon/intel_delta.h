#pragma once
// The single adds and removes: two plain lists, `added` and `removed`, in a folder of their own,
// that `outguard intel add` and `remove` (or an editor) replace whole. Compiles them, and nothing
// else, into a delta. Reads no byte of them itself. One thread.

#include <array>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>

#include <tl/expected.hpp>

#include "base/fd.h"
#include "launch/intel_compiler_process.h"

namespace outguard::daemon {

class IntelDelta {
public:
  /// Creates the folder where there is none; what is wrong with it is told. `ending` ends a
  /// compile.
  IntelDelta(std::string folder, std::stop_token ending);

  [[nodiscard]] const std::string &folder() const { return folder_; }
  [[nodiscard]] const std::array<std::string, 2> &files() const { return files_; }

  struct Compiled {
    std::shared_ptr<const Fd> delta; ///< null: nothing is added or removed
    std::uint64_t added = 0, removed = 0;
  };
  /// An error: they cannot be used, this is why, the log says so, and what was compiled before
  /// stays.
  [[nodiscard]] tl::expected<Compiled, std::string> compile() const;

private:
  std::stop_token ending_;
  std::string folder_;
  std::array<std::string, 2> files_; ///< added, removed
};

} // namespace outguard::daemon
