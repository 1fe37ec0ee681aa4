#pragma once
// The files behind a process: what is mapped into it, and its executable out of the page cache.
// Bound at attach, each part by itself: a kernel whose types lack something loses that part only.
// Borrows layout and TaskList.

#include <optional>

#include "guest/linux/argument_reader.h"
#include "guest/linux/executable_reader.h"
#include "guest/linux/file_hasher.h"
#include "guest/linux/memory_map_walker.h"
#include "guest/linux/open_files.h"
#include "guest/linux/page_cache_reader.h"

namespace outguard::guest {

/// A file that a process runs code of, and where its bytes are.
struct CodeFound {
  MapSeen map;
  Result<CachedFile> file;
};

struct CodeFilesFound {
  std::vector<CodeFound> files;
  Completeness completeness;
};

class ProcessFiles {
public:
  ProcessFiles(const TypeTable &types, const SymbolTable &symbols, const LinuxLayout &layout,
               const TaskList &tasks);
  ProcessFiles(const ProcessFiles &) = delete;
  ProcessFiles &operator=(const ProcessFiles &) = delete;

  /// NotFound: the process is gone, runs no file, or this kernel cannot be asked.
  [[nodiscard]] Result<CachedFile> executable(const ProcessIdentity &process,
                                              KernelReader &reader) const;
  /// Of a file that executable() found.
  [[nodiscard]] FileHasher hasher(const CachedFile &file, std::uint64_t most_bytes,
                                  std::span<std::uint8_t> copy = {}) const;
  /// Empty for a kernel thread. NotFound: the process is gone, or this kernel cannot be asked.
  [[nodiscard]] Result<MapsSeen> maps(const ProcessIdentity &process, KernelReader &reader) const;
  // Likewise.
  [[nodiscard]] Result<CodeFilesFound> code(const ProcessIdentity &process,
                                            KernelReader &reader) const;
  [[nodiscard]] Result<FilesSeen> open_files(const ProcessIdentity &process,
                                             KernelReader &reader) const;
  [[nodiscard]] Result<ArgumentsFound> environment(const ProcessIdentity &process,
                                                   KernelReader &reader) const;

private:
  const LinuxLayout &layout_;
  const TaskList &tasks_;
  tl::expected<PageCacheLayout, std::string> cache_layout_; ///< else the name of what is missing
  tl::expected<MemoryMapLayout, std::string> map_layout_;
  tl::expected<ExecutableLayout, std::string> executable_layout_;
  std::optional<PageCacheReader> pages_;
  std::optional<MemoryMapWalker> maps_;
  std::optional<ExecutableReader> executables_;
  tl::expected<OpenFilesLayout, std::string> open_layout_;
  std::optional<OpenFiles> open_files_;
  /// Of mm_struct: where the environment lies.
  struct EnvironmentLayout {
    Extent mm;
    Member page_table, start, end;
  };
  std::optional<EnvironmentLayout> environment_layout_;
};

} // namespace outguard::guest
