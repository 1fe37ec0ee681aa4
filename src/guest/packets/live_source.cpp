#include "guest/packets/live_source.h"

#include <atomic>
#include <cstddef>

#include <linux/if_packet.h>
#include <sys/mman.h>
#include <sys/socket.h>

namespace outguard::guest {

namespace {

constexpr std::uint64_t kMostRing = 1ULL << 30; ///< a sensor's memory is counted in MiB
constexpr std::uint32_t kMostKept = 1U << 28;
/// A block that is fuller than this share of it is not worth a copy: then packets come fast.
constexpr std::uint32_t kSparse = 4;
constexpr std::uint32_t kCountEvery = 256; ///< blocks, when the ring never runs empty
constexpr std::size_t kStatus = offsetof(tpacket_block_desc, hdr.bh1.block_status);

std::atomic_ref<std::uint32_t> status_of(std::uint8_t *block) {
  return std::atomic_ref(*reinterpret_cast<std::uint32_t *>(block + kStatus));
}

std::uint64_t sequence_of(const std::uint8_t *block) {
  constexpr std::size_t kSequence = offsetof(tpacket_block_desc, hdr.bh1.seq_num);
  static_assert(kSequence % alignof(std::uint64_t) == 0);
  return *reinterpret_cast<const volatile std::uint64_t *>(block + kSequence);
}

} // namespace

Result<std::unique_ptr<LiveSource>> LiveSource::open(Fd socket, const PacketRing &ring) {
  constexpr std::uint32_t kPage = 4096;
  if (ring.block_size < kPage || ring.block_size % kPage != 0 || ring.block_count == 0 ||
      ring.bytes() > kMostRing || ring.kept_bytes > kMostKept) {
    return fault(FaultCode::Malformed);
  }
  void *memory = mmap(nullptr, ring.bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, socket.get(), 0);
  if (memory == MAP_FAILED) { // NOLINT(performance-no-int-to-ptr): the macro's cast
    return fault(FaultCode::SourceGone);
  }
  return std::unique_ptr<LiveSource>(
      new LiveSource(std::move(socket), ring, static_cast<std::uint8_t *>(memory)));
}

LiveSource::LiveSource(Fd socket, const PacketRing &ring, std::uint8_t *memory)
    : PacketSource(std::move(socket)), memory_(memory), block_size_(ring.block_size),
      block_count_(ring.block_count) {
  if (ring.kept_bytes != 0) {
    history_.emplace(ring.kept_bytes);
    full_.resize(ring.block_count);
  }
}

LiveSource::~LiveSource() {
  munmap(memory_, std::size_t{block_size_} * block_count_);
}

std::uint8_t *LiveSource::block_memory(std::uint32_t block) const {
  return memory_ + std::size_t{block} * block_size_;
}

Result<std::size_t> LiveSource::fill(std::span<PacketView> out) {
  std::size_t count = 0;
  // A block is given back when its last view is surely out of use: in the call after.
  while (count == 0) {
    if (!walking_ && !open_block()) {
      return std::size_t{0};
    }
    while (count < out.size() && block_.next(out[count])) {
      ++count;
    }
    if (count == 0) {
      release_block();
    }
  }
  return count;
}

bool LiveSource::open_block() {
  const bool ready =
      (status_of(block_memory(current_)).load(std::memory_order_acquire) & TP_STATUS_USER) != 0;
  if (!ready || ++since_count_ >= kCountEvery) {
    count_lost();
  }
  if (!ready) {
    return false;
  }
  block_ = RingBlock({block_memory(current_), block_size_});
  walking_ = true;
  return true;
}

void LiveSource::release_block() {
  counters_.bad_records += block_.lost();
  if (history_) {
    remember_block();
  }
  status_of(block_memory(current_)).store(TP_STATUS_KERNEL, std::memory_order_release);
  current_ = current_ + 1 < block_count_ ? current_ + 1 : 0;
  walking_ = false;
}

void LiveSource::remember_block() {
  if (block_.end() <= block_size_ / kSparse) {
    full_[current_] = {};
    history_->keep({block_memory(current_), block_.end()}, in_full_blocks_);
    return;
  }
  full_[current_] = {block_.end(), block_.count(), sequence_of(block_memory(current_)),
                     in_full_blocks_};
  in_full_blocks_ += block_.count();
}

std::vector<std::uint8_t> LiveSource::copy_of(std::uint32_t block, std::uint32_t bytes) const {
  const std::uint8_t *memory = block_memory(block);
  return {memory, memory + bytes};
}

LiveSource::Kept LiveSource::kept() const {
  Kept kept;
  if (!history_) {
    return kept;
  }
  const auto sparse = history_->kept();
  for (const auto &one : sparse) {
    kept.blocks.emplace_back(one.block.begin(), one.block.end());
  }
  const std::uint64_t first = sparse.empty() ? in_full_blocks_ : sparse.front().number;
  kept.passed_over = in_full_blocks_ - first;
  for (std::uint32_t block = 0; block < block_count_; ++block) {
    const Full &full = full_[block];
    if (full.bytes == 0 || (walking_ && block == current_)) {
      continue;
    }
    auto copy = copy_of(block, full.bytes);
    // The kernel numbers a block anew before it writes packets to it: the same number now means
    // that all of the copy is of that filling.
    std::atomic_thread_fence(std::memory_order_acquire);
    if (sequence_of(block_memory(block)) != full.sequence) {
      continue;
    }
    kept.blocks.push_back(std::move(copy));
    kept.passed_over -= full.before >= first ? full.packets : 0;
  }
  if (walking_) {
    kept.blocks.push_back(copy_of(current_, block_size_));
  }
  return kept;
}

void LiveSource::count_lost() {
  since_count_ = 0;
  tpacket_stats_v3 statistics{}; // the kernel sets its own counters to zero with each look
  socklen_t length = sizeof statistics;
  if (getsockopt(fd_.get(), SOL_PACKET, PACKET_STATISTICS, &statistics, &length) == 0) {
    counters_.lost_in_kernel += statistics.tp_drops;
  }
}

} // namespace outguard::guest
