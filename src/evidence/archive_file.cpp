#include "evidence/archive_file.h"

#include <array>
#include <cerrno>
#include <filesystem>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/sha256_stream.h"

namespace outguard::evidence {

namespace {

constexpr mode_t kOurs = 0600;
constexpr std::string_view kEnding = ".tar.zst";

std::string folder_of(const std::string &path) {
  const auto folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

} // namespace

ArchiveFile::ArchiveFile(std::string path, std::string part, Fd file)
    : path_(std::move(path)), part_(std::move(part)), file_(std::move(file)) {}

ArchiveFile::ArchiveFile(ArchiveFile &&other) noexcept
    : path_(std::move(other.path_)), part_(std::exchange(other.part_, {})),
      file_(std::move(other.file_)) {}

ArchiveFile::~ArchiveFile() {
  if (!part_.empty()) {
    ::unlink(part_.c_str());
  }
}

Result<ArchiveFile> ArchiveFile::open(const std::string &path) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) == 0) {
    return fail(ErrorCode::InvalidInput, path + " is there already: an archive replaces nothing");
  }
  Fd nameless(::open(folder_of(path).c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, kOurs));
  if (nameless) {
    return ArchiveFile(path, {}, std::move(nameless));
  }
  if (errno != EOPNOTSUPP && errno != EISDIR) {
    return fail_errno(folder_of(path));
  }
  const std::string part = path + ".part"; // a file system that knows no files without a name
  ::unlink(part.c_str());                  // of one that was killed
  Fd named(::open(part.c_str(), O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR | O_CLOEXEC, kOurs));
  if (!named) {
    return fail_errno(part);
  }
  return ArchiveFile(path, part, std::move(named));
}

Result<ArchiveFile::Kept> ArchiveFile::keep() {
  if (::fsync(file_.get()) != 0) {
    return fail_errno("writing " + path_ + " to disk");
  }
  Kept kept;
  store::Sha256Stream digest;
  std::array<char, 65536> bytes{};
  while (true) {
    const ssize_t count =
        ::pread(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(kept.bytes));
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      return fail_errno("reading back " + path_);
    }
    if (count == 0) {
      break;
    }
    digest.add({bytes.data(), static_cast<std::size_t>(count)});
    kept.bytes += static_cast<std::uint64_t>(count);
  }
  kept.sha256 = digest.finish();
  const std::string from = part_.empty() ? "/proc/self/fd/" + std::to_string(file_.get()) : part_;
  if (::linkat(AT_FDCWD, from.c_str(), AT_FDCWD, path_.c_str(), AT_SYMLINK_FOLLOW) != 0) {
    return fail_errno("naming " + path_);
  }
  const Fd folder(::open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder || ::fsync(folder.get()) != 0) {
    auto failed = fail_errno("writing the folder of " + path_ + " to disk");
    ::unlink(path_.c_str());
    return failed;
  }
  return kept;
}

Result<void> prepare_folder(const std::string &folder, std::size_t most) {
  std::error_code problem;
  std::filesystem::create_directories(std::filesystem::path(folder).parent_path(), problem);
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return fail_errno(folder);
  }
  std::size_t archives = 0;
  std::filesystem::directory_iterator at(folder, problem);
  for (const std::filesystem::directory_iterator end; !problem && at != end;
       at.increment(problem)) {
    archives += at->path().string().ends_with(kEnding) ? 1U : 0U;
  }
  if (problem) {
    return fail(ErrorCode::SystemFailed, folder + ": " + problem.message());
  }
  if (archives >= most) {
    return fail(
        ErrorCode::LimitReached,
        fmt::format("{} holds {} archives, as many as are kept: move some away", folder, archives));
  }
  return {};
}

} // namespace outguard::evidence
