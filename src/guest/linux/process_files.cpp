#include "guest/linux/process_files.h"

namespace outguard::guest {

ProcessFiles::ProcessFiles(const TypeTable &types, const SymbolTable &symbols,
                           const LinuxLayout &layout, const TaskList &tasks)
    : layout_(layout), tasks_(tasks), cache_layout_(PageCacheLayout::bind(types, symbols)),
      map_layout_(MemoryMapLayout::bind(types, symbols)),
      executable_layout_(ExecutableLayout::bind(types)),
      open_layout_(OpenFilesLayout::bind(types)) {
  if (map_layout_) {
    maps_.emplace(*map_layout_, layout, tasks);
  }
  if (cache_layout_ && executable_layout_) {
    pages_.emplace(*cache_layout_);
    executables_.emplace(*executable_layout_, *pages_, maps_ ? &*maps_ : nullptr);
  }
  if (open_layout_) {
    open_files_.emplace(*open_layout_, layout, tasks);
  }
  std::string missing;
  StructBinder mm(types, "mm_struct", missing);
  EnvironmentLayout environment;
  environment.page_table = mm.pointer("pgd");
  environment.start = mm.number("env_start");
  environment.end = mm.number("env_end");
  environment.mm = mm.extent();
  if (missing.empty()) {
    environment_layout_ = environment;
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

FileHasher ProcessFiles::hasher(const CachedFile &file, std::uint64_t most_bytes,
                                std::span<std::uint8_t> copy) const {
  return {*pages_, file, most_bytes, copy};
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

Result<CodeFilesFound> ProcessFiles::code(const ProcessIdentity &process,
                                          KernelReader &reader) const {
  if (!maps_ || !executables_) {
    return fault(FaultCode::NotFound);
  }
  const auto task = tasks_.find(process, reader);
  if (!task) {
    return tl::unexpected(task.error());
  }
  CodeFilesFound found;
  if (task->mm.is_null() || task->is_kernel_thread()) {
    return found;
  }
  auto seen = maps_->code(task->mm, reader);
  found.completeness = seen.completeness;
  for (auto &one : seen.files) {
    found.files.push_back({std::move(one.map), executables_->behind(one.file, reader)});
  }
  reader.renew();
  if (!is_unchanged(*task, reader, layout_.task)) {
    found.completeness.lost(PartialReason::KeptChanging,
                            {FaultCode::Malformed, task->address.raw()});
  }
  return found;
}

Result<FilesSeen> ProcessFiles::open_files(const ProcessIdentity &process,
                                           KernelReader &reader) const {
  if (!open_files_) {
    return fault(FaultCode::NotFound);
  }
  const auto task = tasks_.find(process, reader);
  if (!task) {
    return tl::unexpected(task.error());
  }
  auto seen = open_files_->read(*task, reader);
  reader.renew();
  if (!is_unchanged(*task, reader, layout_.task)) {
    seen.completeness.lost(PartialReason::KeptChanging,
                           {FaultCode::Malformed, task->address.raw()});
  }
  return seen;
}

Result<ArgumentsFound> ProcessFiles::environment(const ProcessIdentity &process,
                                                 KernelReader &reader) const {
  if (!environment_layout_) {
    return fault(FaultCode::NotFound);
  }
  const auto task = tasks_.find(process, reader);
  if (!task) {
    return tl::unexpected(task.error());
  }
  ObjectCopy mm(environment_layout_->mm);
  if (task->mm.is_null() || task->is_kernel_thread()) {
    return ArgumentsFound{};
  }
  if (const auto loaded = mm.load(reader, task->mm); !loaded) {
    return tl::unexpected(loaded.error());
  }
  auto found = read_arguments(mm.pointer(environment_layout_->page_table),
                              GuestVirtual(mm.number(environment_layout_->start)),
                              GuestVirtual(mm.number(environment_layout_->end)), reader);
  reader.renew();
  if (!is_unchanged(*task, reader, layout_.task)) {
    return fault(FaultCode::Malformed, task->address.raw());
  }
  return found;
}

} // namespace outguard::guest
