#pragma once
// Where ISF files (Volatility 3 JSON) lie that the operator has: one file, or a folder of them
// named by kernel release. They are opened here and read by the sensor only.

#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "facts/guest_text.h"

namespace outguard::launch {

class SymbolFiles {
public:
  SymbolFiles() = default; ///< none
  /// A folder is asked only for a kernel that cannot be read without; a file is used in any case.
  explicit SymbolFiles(std::string path) : path_(std::move(path)) {}

  /// The file; an empty Fd where there is none or it is a folder.
  [[nodiscard]] Result<Fd> file() const;
  /// RELEASE.json.xz or RELEASE.json of the folder. The guest chose the release: what could lead
  /// out of the folder finds nothing. The error says what to do.
  [[nodiscard]] Result<Fd> for_release(const GuestText &release) const;

private:
  std::string path_;
};

} // namespace outguard::launch
