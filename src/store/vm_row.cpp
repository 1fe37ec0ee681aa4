#include "store/vm_row.h"

#include "store/json_value.h"

namespace outguard::store {

namespace {

Json kernel_object(const VmRow &row) {
  if (row.state != GuestState::Ready) {
    return nullptr;
  }
  const auto &kernel = row.kernel;
  return {{"release", kernel.release.printable()},
          {"banner", kernel.banner.printable()},
          {"located_by", kernel.located_by},
          {"symbols_from", kernel.symbols_from},
          {"symbol_count", kernel.symbol_count},
          {"types_from", kernel.types_from},
          {"clock", text_or_null(kernel.clock)},
          {"integrity", kernel.integrity},
          {"integrity_checks", kernel.integrity_checks},
          {"paging_levels", kernel.paging_levels},
          {"kaslr_offset", kernel.kaslr_offset},
          {"attach_us",
           {{"connect", row.connect_us},
            {"find", kernel.find_ns / 1000},
            {"types", kernel.types_ns / 1000},
            {"symbols", kernel.symbols_ns / 1000},
            {"walk", row.walk_us}}}};
}

} // namespace

std::string vm_json(const VmRow &row) {
  Json object = {{"vm", row.name.printable()},
                 {"uuid", text_or_null(row.uuid)},
                 {"pid", row.pid},
                 {"hypervisor", "qemu"},
                 {"machine", text_or_null(row.machine)},
                 {"memory_bytes", or_null(row.memory_bytes)},
                 {"state", to_string(row.state)},
                 {"memory", text_or_null(row.memory)},
                 {"kernel", kernel_object(row)},
                 {"taps", row.taps},
                 {"gaps", row.gaps}};
  if (!row.guarded.empty()) {
    object.update(Json::parse(row.guarded));
  }
  return line(object);
}

} // namespace outguard::store
