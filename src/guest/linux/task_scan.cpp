#include "guest/linux/task_scan.h"

#include <algorithm>
#include <cstring>

namespace outguard::guest {
namespace {

constexpr std::uint64_t kAlignment = 64; ///< task_struct's cache: at least a cache line
constexpr std::size_t kChunkBytes = std::size_t{4} << 20;
constexpr std::size_t kMostTasks = std::size_t{1} << 16;
constexpr std::uint64_t kKernelHalf = std::uint64_t{1} << 63;

std::uint64_t word_at(const std::uint8_t *object, std::uint32_t offset) {
  std::uint64_t word = 0;
  std::memcpy(&word, object + offset, sizeof word);
  return word;
}

bool is_object(std::uint64_t word) {
  return (word & kKernelHalf) != 0 && word % 8 == 0;
}

} // namespace

bool TaskScan::has_shape(const std::uint8_t *object, std::uint64_t address) const {
  const auto word = [object](const Member &member) { return word_at(object, member.offset); };
  if (!is_object(word(layout_.signal)) || !is_object(word(layout_.sighand)) ||
      !is_object(word(layout_.group_leader)) || !is_object(word(layout_.real_parent)) ||
      !is_object(word(layout_.thread_pid))) {
    return false;
  }
  // A list of children is empty and then leads to itself, or leads away and back.
  const std::uint64_t children = address + layout_.children.offset;
  const std::uint64_t first = word(layout_.children);
  const std::uint64_t last = word_at(object, layout_.children.offset + 8);
  return is_object(first) && is_object(last) && (first == children) == (last == children);
}

bool TaskScan::is_task(GuestVirtual address, KernelReader &reader) const {
  ObjectCopy copy(layout_.task);
  if (!copy.load(reader, address)) {
    return false;
  }
  const ViewTask task = decode_view_task(copy, layout_);
  if (!task.is_plausible() || !task.lives() || task.pid <= 0) {
    return false;
  }
  ObjectCopy leader(layout_.task);
  if (!leader.load(reader, task.leader)) {
    return false;
  }
  const ViewTask group = decode_view_task(leader, layout_);
  const auto number = pids_.read(task.number, reader);
  return group.tgid == task.tgid && group.signal == task.signal && number &&
         number->task == address;
}

Result<ScanResult> TaskScan::run(GuestVirtual known, KernelReader &reader) const {
  const auto physical = reader.space().translate(known);
  if (!physical) {
    return tl::unexpected(physical.error());
  }
  const std::uint64_t direct_map = known.raw() - physical->raw();
  const std::size_t size = layout_.task.end;
  MemoryReader &memory = reader.space().memory();
  std::vector<std::uint8_t> chunk(kChunkBytes + size);
  ScanResult result;
  for (const PhysicalRange &range : memory.ranges()) {
    for (std::uint64_t done = 0; done < range.length; done += kChunkBytes) {
      const auto count = std::min<std::uint64_t>(chunk.size(), range.length - done);
      if (result.bytes > kMostBytes || result.tasks.size() >= kMostTasks || reader.cut_short()) {
        result.whole = false;
        return result;
      }
      const GuestPhysical start = range.start.plus_wrapping(done);
      if (!memory.read(start, std::span(chunk).first(count))) {
        result.whole = false; // a hole in it, or QEMU ended: later reads tell which
        continue;
      }
      result.bytes += std::min<std::uint64_t>(count, kChunkBytes);
      for (std::uint64_t at = 0; at + size <= count && at < kChunkBytes; at += kAlignment) {
        const std::uint64_t address = direct_map + start.raw() + at;
        if (!has_shape(chunk.data() + at, address)) {
          continue;
        }
        if (is_task(GuestVirtual(address), reader)) {
          result.tasks.emplace_back(address);
          continue;
        }
        // Mapped elsewhere: one without children says itself where it is.
        const GuestVirtual own(word_at(chunk.data() + at, layout_.children.offset) -
                               layout_.children.offset);
        const auto there = reader.space().translate(own);
        if (there && *there == start.plus_wrapping(at) && is_task(own, reader)) {
          result.tasks.push_back(own);
        }
      }
    }
  }
  result.whole = result.whole && !reader.cut_short();
  return result;
}

} // namespace outguard::guest
