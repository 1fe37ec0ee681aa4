#pragma once
// From a process to the file that it runs, as the page cache knows it. On an overlay the process's
// file is a front: the bytes are in the cache of the layer's file, which is what the process has
// mapped where its code starts. Borrows the layouts and walkers.

#include <string>

#include "guest/linux/linux_layout.h"
#include "guest/linux/memory_map_walker.h"
#include "guest/linux/page_cache_reader.h"
#include "guest/linux/task.h"

namespace outguard::guest {

struct ExecutableLayout {
  Extent file;
  Member mapping;
  Extent mm;
  Member executable, code_start;

  [[nodiscard]] static tl::expected<ExecutableLayout, std::string> bind(const TypeTable &types);
};

class ExecutableReader {
public:
  /// `maps` may be null: then nothing is found on an overlay.
  ExecutableReader(const ExecutableLayout &layout, const PageCacheReader &pages,
                   const MemoryMapWalker *maps)
      : layout_(layout), pages_(pages), maps_(maps) {}

  /// NotFound: it runs no file, or one whose bytes cannot be found.
  [[nodiscard]] Result<CachedFile> find(const Task &task, KernelReader &reader) const;

  /// Of a struct file.
  [[nodiscard]] Result<CachedFile> behind(GuestVirtual file, KernelReader &reader) const;

private:
  const ExecutableLayout &layout_;
  const PageCacheReader &pages_;
  const MemoryMapWalker *maps_;
};

} // namespace outguard::guest
