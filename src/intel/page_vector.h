#pragma once
// An array of plain values for what may grow large. The kernel moves its pages when it grows, so
// nothing is copied and there is never room for both. (No huge pages: a host's guests want them.)
// Without memory the process ends. Value type without copies; one owner.

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <type_traits>
#include <utility>

#include <sys/mman.h>

namespace outguard::intel {

template <class T> class PageVector {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

public:
  using value_type = T;

  PageVector() = default;
  PageVector(PageVector &&other) noexcept
      : items_(std::exchange(other.items_, nullptr)), size_(std::exchange(other.size_, 0)),
        mapped_bytes_(std::exchange(other.mapped_bytes_, 0)) {}
  PageVector &operator=(PageVector &&other) noexcept {
    std::swap(items_, other.items_);
    std::swap(size_, other.size_);
    std::swap(mapped_bytes_, other.mapped_bytes_);
    return *this;
  }
  ~PageVector() {
    if (items_ != nullptr) {
      ::munmap(items_, mapped_bytes_);
    }
  }

  /// `count` values of zero bytes. All pages at once: a table that is filled in no order would
  /// fault at nearly each of them, and twice where it is read first.
  [[nodiscard]] static PageVector zeroed(std::size_t count) {
    PageVector made;
    made.grow(count, MAP_POPULATE);
    made.size_ = count;
    return made;
  }

  void reserve(std::size_t count) {
    if (count > most()) {
      grow(count);
    }
  }
  void push_back(const T &item) {
    if (size_ == most()) {
      const T kept = item; // it may lie in here
      grow(size_ + 1);
      items_[size_++] = kept;
      return;
    }
    items_[size_++] = item;
  }
  void append(std::span<const T> more) {
    reserve(size_ + more.size());
    if (!more.empty()) {
      std::memcpy(items_ + size_, more.data(), more.size_bytes());
    }
    size_ += more.size();
  }
  /// Room behind the last value, to be written and then taken with add_written().
  [[nodiscard]] std::span<T> room(std::size_t least) {
    reserve(size_ + least);
    return {items_ + size_, most() - size_};
  }
  void add_written(std::size_t count) { size_ += count; }

  [[nodiscard]] T *data() { return items_; }
  [[nodiscard]] const T *data() const { return items_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] T &operator[](std::size_t i) { return items_[i]; }
  [[nodiscard]] const T &operator[](std::size_t i) const { return items_[i]; }
  [[nodiscard]] T *begin() { return items_; }
  [[nodiscard]] T *end() { return items_ + size_; }
  [[nodiscard]] const T *begin() const { return items_; }
  [[nodiscard]] const T *end() const { return items_ + size_; }

private:
  static constexpr std::size_t kLeastBytes = std::size_t{64} << 10;

  [[nodiscard]] std::size_t most() const { return mapped_bytes_ / sizeof(T); }

  void grow(std::size_t least, int flags = 0) {
    if (least > SIZE_MAX / 4 / sizeof(T)) {
      std::abort();
    }
    const auto bytes = std::bit_ceil(std::max(least * sizeof(T), kLeastBytes));
    void *raw = items_ == nullptr ? ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                                           MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0)
                                  : ::mremap(items_, mapped_bytes_, bytes, MREMAP_MAYMOVE);
    if (raw == MAP_FAILED) {
      std::abort();
    }
    items_ = static_cast<T *>(raw);
    mapped_bytes_ = bytes;
  }

  T *items_ = nullptr;
  std::size_t size_ = 0;
  std::size_t mapped_bytes_ = 0;
};

} // namespace outguard::intel
