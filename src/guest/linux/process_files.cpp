#include "guest/linux/process_files.h"

namespace outguard::guest {

ProcessFiles::ProcessFiles(const TypeTable &types, const SymbolTable &symbols,
                           const LinuxLayout &layout, const TaskList &tasks)
    : layout_(layout), tasks_(tasks), cache_layout_(PageCacheLayout::bind(types, symbols)),
      map_layout_(MemoryMapLayout::bind(types, symbols)),
      executable_layout_(ExecutableLayout::bind(types)) {
  if (map_layout_) {
    maps_.emplace(*map_layout_, layout, tasks);
  }
  if (cache_layout_ && executable_layout_) {
    pages_.emplace(*cache_layout_);
    executables_.emplace(*executable_layout_, *pages_, maps_ ? &*maps_ : nullptr);
  }
}

Result<CachedFile> ProcessFiles::executable(const ProcessIdentity &process,
                                            KernelReader &reader) const {
  if (!executables_) {
    return fault(FaultCode::NotFound);
  }
  const auto task = tasks_.find(process, reader);
  if (!task) {
    return tl::unexpected(task.error());
  }
  auto file = executables_->find(*task, reader);
  if (!is_unchanged(*task, reader, layout_.task)) {
    return fault(FaultCode::NotFound, task->address.raw()); // its mm may be another's by now
  }
  return file;
}

FileHasher ProcessFiles::hasher(const CachedFile &file, std::uint64_t most_bytes) const {
  return {*pages_, file, most_bytes};
}

Result<MapsSeen> ProcessFiles::maps(const ProcessIdentity &process, KernelReader &reader) const {
  if (!maps_) {
    return fault(FaultCode::NotFound);
  }
  const auto task = tasks_.find(process, reader);
  if (!task) {
    return tl::unexpected(task.error());
  }
  if (task->mm.is_null() || task->is_kernel_thread()) {
    return MapsSeen{};
  }
  auto seen = maps_->walk(task->mm, reader);
  reader.renew();
  if (!is_unchanged(*task, reader, layout_.task)) {
    seen.completeness.lost(PartialReason::KeptChanging,
                           {FaultCode::Malformed, task->address.raw()});
  }
  return seen;
}

} // namespace outguard::guest
