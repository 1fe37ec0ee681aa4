#include "guest/linux/executable_reader.h"

namespace outguard::guest {

tl::expected<ExecutableLayout, std::string> ExecutableLayout::bind(const TypeTable &types) {
  std::string missing;
  ExecutableLayout layout;
  StructBinder file(types, "file", missing);
  layout.mapping = file.pointer("f_mapping");
  layout.file = file.extent();
  StructBinder mm(types, "mm_struct", missing);
  layout.executable = mm.pointer("exe_file");
  layout.code_start = mm.number("start_code");
  layout.mm = mm.extent();
  if (!missing.empty()) {
    return tl::unexpected(missing);
  }
  return layout;
}

Result<CachedFile> ExecutableReader::behind(GuestVirtual address, KernelReader &reader) const {
  ObjectCopy file(layout_.file);
  if (const auto loaded = file.load(reader, address); !loaded) {
    return tl::unexpected(loaded.error());
  }
  return pages_.file_of(file.pointer(layout_.mapping), reader);
}

Result<CachedFile> ExecutableReader::find(const Task &task, KernelReader &reader) const {
  ObjectCopy mm(layout_.mm);
  if (task.mm.is_null() || task.is_kernel_thread()) {
    return fault(FaultCode::NotFound, task.address.raw());
  }
  if (const auto loaded = mm.load(reader, task.mm); !loaded) {
    return tl::unexpected(loaded.error());
  }
  const auto file = behind(mm.pointer(layout_.executable), reader);
  if (!file || !file->is_overlay()) {
    return file;
  }
  const GuestVirtual mapped =
      maps_ == nullptr
          ? GuestVirtual{}
          : maps_->file_at(task.mm, GuestVirtual(mm.number(layout_.code_start)), reader);
  if (mapped.is_null()) {
    return fault(FaultCode::NotFound, task.mm.raw());
  }
  const auto layer = behind(mapped, reader);
  if (layer && !layer->can_stand_behind(*file)) {
    return fault(FaultCode::NotFound, task.mm.raw()); // the process has mapped something else there
  }
  return layer;
}

} // namespace outguard::guest
