#pragma once
// Owns one file descriptor: closes it once, moves, never copies.

#include <utility>

namespace outguard {

class Fd {
public:
  Fd() = default;
  explicit Fd(int raw) : raw_(raw) {}
  Fd(Fd &&other) noexcept : raw_(std::exchange(other.raw_, -1)) {}
  Fd &operator=(Fd &&other) noexcept {
    if (this != &other) {
      reset();
      raw_ = std::exchange(other.raw_, -1);
    }
    return *this;
  }
  Fd(const Fd &) = delete;
  Fd &operator=(const Fd &) = delete;
  ~Fd() { reset(); }

  [[nodiscard]] int get() const { return raw_; }
  [[nodiscard]] explicit operator bool() const { return raw_ >= 0; }
  [[nodiscard]] int release() { return std::exchange(raw_, -1); }
  void reset();

private:
  int raw_ = -1;
};

} // namespace outguard
