#include "hypervisor/memory_opener.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <map>
#include <optional>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>

#include "hypervisor/gdb_stub.h"
#include "hypervisor/memory_tree.h"
#include "hypervisor/process_directory.h"
#include "hypervisor/qemu_command_line.h"
#include "hypervisor/unix_socket.h"

namespace outguard::hypervisor {

namespace {

/// A QEMU has some hundred mappings; with one per hot-plugged device some thousand.
constexpr std::size_t kMostMapsBytes = std::size_t{16} << 20;
/// What one message to a sensor can carry, less /proc/PID/mem.
constexpr std::size_t kMostFiles = 32;
constexpr std::uint64_t kPageSize = 4096;

std::string_view take_word(std::string_view &text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  const auto end = std::min(text.find(' '), text.size());
  const auto word = text.substr(0, end);
  text.remove_prefix(end);
  return word;
}

std::optional<std::uint64_t> number(std::string_view text, int base) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return error == std::errc{} && end == text.data() + text.size() ? std::optional(value)
                                                                  : std::nullopt;
}

std::optional<HostMapping> parse_mapping(std::string_view line) {
  const auto range = take_word(line);
  const auto access = take_word(line);
  const auto offset = number(take_word(line), 16);
  const auto device = take_word(line);
  const auto inode = number(take_word(line), 10);
  const auto dash = std::min(range.find('-'), range.size());
  const auto start = number(range.substr(0, dash), 16);
  const auto end = number(range.substr(std::min(dash + 1, range.size())), 16);
  if (!start || !end || *end <= *start || access.size() != 4 || !offset || !inode) {
    return std::nullopt;
  }
  return HostMapping{*start,
                     *end,
                     *offset,
                     *inode,
                     std::string(device),
                     access[3] == 's',
                     access.starts_with("rw-")};
}

/// Where QEMU has a range. Both ends are asked for: a range that is not one run there would
/// otherwise have us read, or write, somewhere else.
Result<std::uint64_t> host_address(QmpClient &qmp, const RamRange &range) {
  const auto ask = [&](std::uint64_t address) -> Result<std::uint64_t> {
    const auto text = qmp.human(fmt::format("gpa2hva {:#x}", address));
    return text ? parse_host_address(*text) : tl::unexpected(text.error());
  };
  auto first = ask(range.start);
  if (!first || range.length <= kPageSize) {
    return first;
  }
  auto last = ask(range.start + range.length - 1);
  if (!last) {
    return last;
  }
  if (*last - *first != range.length - 1) {
    return fail(ErrorCode::InvalidInput,
                fmt::format("guest memory at {:#x} is not one run in QEMU", range.start));
  }
  return first;
}

/// Gives regions of shared, file-backed RAM the file to map, split where QEMU's mappings are.
class FileBacking {
public:
  FileBacking(const ProcessDirectory &process, std::vector<HostMapping> mappings)
      : process_(process), mappings_(std::move(mappings)) {}

  void add(const MemoryRegion &whole, MemoryHandles &handles) {
    MemoryRegion rest = whole;
    while (rest.length > 0) {
      MemoryRegion part = rest;
      if (const auto *mapping = find(rest.host_address)) {
        part.length = std::min(rest.length, mapping->end - rest.host_address);
        part.file_index = file_of(*mapping, handles);
        part.file_offset =
            part.file_index < 0 ? 0 : mapping->file_offset + (rest.host_address - mapping->start);
      }
      append(part, handles.layout);
      rest.guest_start += part.length;
      rest.host_address += part.length;
      rest.length -= part.length;
    }
  }

private:
  [[nodiscard]] const HostMapping *find(std::uint64_t address) const {
    const auto next = std::upper_bound(
        mappings_.begin(), mappings_.end(), address,
        [](std::uint64_t wanted, const HostMapping &mapping) { return wanted < mapping.end; });
    return next != mappings_.end() && next->start <= address ? &*next : nullptr;
  }

  /// -1 where the file is private to QEMU (its pages are then not the file's) or cannot be opened.
  std::int32_t file_of(const HostMapping &mapping, MemoryHandles &handles) {
    if (!mapping.shared || mapping.inode == 0) {
      return -1;
    }
    const auto key = std::pair(mapping.device, mapping.inode);
    if (const auto known = files_.find(key); known != files_.end()) {
      return known->second;
    }
    std::int32_t index = -1;
    if (handles.files.size() < kMostFiles) {
      const auto name = fmt::format("map_files/{:x}-{:x}", mapping.start, mapping.end);
      if (auto file = process_.open_file(name, O_RDONLY)) {
        index = static_cast<std::int32_t>(handles.files.size());
        handles.files.push_back(std::move(*file));
      }
    }
    files_.emplace(key, index);
    return index;
  }

  static void append(const MemoryRegion &part, MemoryLayout &layout) {
    if (!layout.regions.empty()) {
      auto &last = layout.regions.back();
      const bool same_place = last.guest_start + last.length == part.guest_start &&
                              last.host_address + last.length == part.host_address &&
                              last.file_index == part.file_index;
      if (same_place &&
          (part.file_index < 0 || last.file_offset + last.length == part.file_offset)) {
        last.length += part.length;
        return;
      }
    }
    layout.regions.push_back(part);
  }

  const ProcessDirectory &process_;
  std::vector<HostMapping> mappings_; ///< by address, as the kernel lists them
  std::map<std::pair<std::string, std::uint64_t>, std::int32_t> files_;
};

/// True if all RAM is in files: firmware that is not is then left out, since the sensor had to be
/// given all of QEMU's memory to read it, and nothing that it looks for is there.
bool leave_out_firmware(MemoryHandles &handles) {
  auto &regions = handles.layout.regions;
  const auto needs_process = [&](const MemoryRegion &region) { return region.file_index < 0; };
  const auto is_ram = [&](const MemoryRegion &region) {
    return std::any_of(handles.writable.regions.begin(), handles.writable.regions.end(),
                       [&](const MemoryRegion &ram) {
                         return region.guest_start < ram.guest_start + ram.length &&
                                ram.guest_start < region.guest_start + region.length;
                       });
  };
  if (std::any_of(regions.begin(), regions.end(), [&](const MemoryRegion &region) {
        return needs_process(region) && is_ram(region);
      })) {
    return false;
  }
  regions.erase(std::remove_if(regions.begin(), regions.end(), needs_process), regions.end());
  return true;
}

Result<ProcessDirectory> open_process(const VmFound &vm) {
  auto process = ProcessDirectory::open(vm.pid);
  const auto started = process ? process->start_time() : tl::unexpected(process.error());
  if (!started || *started != vm.start_time) {
    return fail(ErrorCode::NotFound, "the VM's process " + std::to_string(vm.pid) + " is gone");
  }
  return process;
}

/// Layout and files, nothing else.
Result<MemoryHandles> ask_layout(const ProcessDirectory &process, QmpClient &qmp) {
  const auto tree = qmp.human("info mtree -f");
  if (!tree) {
    return tl::unexpected(tree.error());
  }
  const auto ranges = parse_memory_tree(*tree);
  if (!ranges) {
    return tl::unexpected(ranges.error());
  }
  const auto maps = process.read("maps", kMostMapsBytes);
  if (!maps) {
    return tl::unexpected(maps.error());
  }
  MemoryHandles handles;
  FileBacking backing(process, parse_mappings(*maps));
  for (const auto &range : *ranges) {
    const auto address = host_address(qmp, range);
    if (!address) {
      return tl::unexpected(address.error());
    }
    const MemoryRegion region{range.start, range.length, *address, 0, -1};
    if (range.writable) {
      handles.writable.regions.push_back(region);
    }
    backing.add(region, handles);
  }
  if (handles.layout.regions.size() > kMaxMemoryRegions) {
    return fail(ErrorCode::LimitReached, "guest memory is in too many pieces");
  }
  return handles;
}

Result<MemoryHandles> infer_memory(const VmFound &vm) {
  const auto process = open_process(vm);
  if (!process) {
    return tl::unexpected(process.error());
  }
  const auto line = process->read("cmdline", kMostCommandLineBytes);
  const auto maps = line ? process->read("maps", kMostMapsBytes) : tl::unexpected(line.error());
  if (!maps) {
    return tl::unexpected(maps.error());
  }
  auto mappings = parse_mappings(*maps);
  const auto layout = infer_layout(parse_command_line(split_arguments(*line)), mappings);
  if (!layout) {
    return fail(ErrorCode::Unsupported, "no QMP socket, and " + layout.error().message);
  }
  MemoryHandles handles;
  handles.inferred = true;
  FileBacking backing(*process, std::move(mappings));
  for (const auto &region : layout->regions) {
    backing.add(region, handles);
  }
  const auto &regions = handles.layout.regions;
  if (std::any_of(regions.begin(), regions.end(),
                  [](const MemoryRegion &region) { return region.file_index < 0; })) {
    auto memory = process->open_file("mem", O_RDONLY);
    if (!memory) {
      return tl::unexpected(memory.error());
    }
    handles.process_memory = std::move(*memory);
  }
  return handles;
}

} // namespace

std::vector<int> MemoryHandles::descriptors() const {
  std::vector<int> all;
  for (const auto &file : files) {
    all.push_back(file.get());
  }
  if (process_memory) {
    all.push_back(process_memory.get());
  }
  return all;
}

std::vector<HostMapping> parse_mappings(std::string_view text) {
  std::vector<HostMapping> mappings;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    if (auto mapping = parse_mapping(text.substr(0, end))) {
      mappings.push_back(std::move(*mapping));
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return mappings;
}

Result<CpusSeen> look_at_cpus(const VmFound &vm) {
  if (vm.qmp_path.empty()) {
    return fail(ErrorCode::Unsupported, "no QMP socket: the VM's CPUs cannot be looked at");
  }
  auto qmp = QmpClient::connect(vm.qmp_path, vm.pid);
  if (!qmp) {
    return tl::unexpected(qmp.error());
  }
  auto state = qmp->status();
  auto registers = qmp->human("info registers -a");
  if (!state || !registers) {
    return tl::unexpected(state ? registers.error() : state.error());
  }
  return CpusSeen{std::move(*state), std::move(*registers)};
}

Result<MemoryHandles> open_memory(const VmFound &vm) {
  if (vm.qmp_path.empty()) {
    return infer_memory(vm);
  }
  auto qmp = QmpClient::connect(vm.qmp_path, vm.pid);
  if (qmp) {
    // The death of all our processes at once may have left the VM standing at a breakpoint.
    (void)mend_gdb_stub(*qmp);
    return open_memory(vm, *qmp);
  }
  const auto listener = connect_unix(vm.qmp_path, std::chrono::milliseconds(0));
  if (listener || listener.error().code == ErrorCode::Timeout) {
    return tl::unexpected(qmp.error()); // somebody listens, and is busy or somebody else
  }
  return infer_memory(vm);
}

Result<MemoryHandles> open_memory(const VmFound &vm, QmpClient &qmp) {
  const auto process = open_process(vm);
  if (!process) {
    return tl::unexpected(process.error());
  }
  // Firmware moves memory about while it starts: between two questions the answer may have changed.
  constexpr int kTries = 5;
  constexpr std::chrono::milliseconds kBetween{10};
  auto handles = ask_layout(*process, qmp);
  for (int i = 1; i < kTries && !handles && handles.error().code != ErrorCode::Unreachable; ++i) {
    std::this_thread::sleep_for(kBetween);
    handles = ask_layout(*process, qmp);
  }
  if (!handles) {
    return handles;
  }
  if (!leave_out_firmware(*handles)) {
    auto memory = process->open_file("mem", O_RDONLY);
    if (!memory) {
      return tl::unexpected(memory.error());
    }
    handles->process_memory = std::move(*memory);
  }
  auto registers = qmp.human("info registers -a");
  if (!registers) {
    return tl::unexpected(registers.error());
  }
  handles->registers = std::move(*registers);
  return handles;
}

} // namespace outguard::hypervisor
