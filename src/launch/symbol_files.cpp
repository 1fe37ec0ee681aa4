#include "launch/symbol_files.h"

#include <algorithm>
#include <cctype>
#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>

namespace outguard::launch {

namespace {

Result<Fd> open_regular(const std::string &path) {
  Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0) {
    return fail_errno(path);
  }
  if (!S_ISREG(status.st_mode)) {
    return fail(ErrorCode::InvalidInput, path + ": not a regular file");
  }
  return file;
}

/// "6.1.0-35-amd64", and nothing that a path could be made of.
bool is_plain_release(std::string_view release) {
  return !release.empty() && release.size() <= 64 && release.front() != '.' &&
         std::all_of(release.begin(), release.end(), [](char letter) {
           return std::isalnum(static_cast<unsigned char>(letter)) != 0 ||
                  std::string_view("-._+~").find(letter) != std::string_view::npos;
         });
}

} // namespace

Result<Fd> SymbolFiles::file() const {
  std::error_code ignored;
  if (path_.empty() || std::filesystem::is_directory(path_, ignored)) {
    return Fd();
  }
  return open_regular(path_);
}

Result<Fd> SymbolFiles::for_release(const GuestText &release) const {
  std::error_code ignored;
  if (!is_plain_release(release.raw()) || path_.empty() ||
      !std::filesystem::is_directory(path_, ignored)) {
    return fail(ErrorCode::NotFound, "make an ISF file with dwarf2json from this kernel's debug "
                                     "package and give it with --symbols");
  }
  for (const char *ending : {".json.xz", ".json"}) {
    if (auto file = open_regular(path_ + "/" + std::string(release.raw()) + ending)) {
      return file;
    }
  }
  return fail(ErrorCode::NotFound, "make an ISF file with dwarf2json from this kernel's debug "
                                   "package and put it to " +
                                       path_ + "/" + std::string(release.raw()) + ".json.xz");
}

} // namespace outguard::launch
