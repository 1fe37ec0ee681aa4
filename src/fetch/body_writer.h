#pragma once
// The file that receives a feed, with its cap; and a text kept in memory, with its own. One thread.

#include <string>

#include "fetch/http_client.h"

namespace outguard::fetch {

/// Gathers small pieces before it writes. Does not own the descriptor.
class BodyWriter final : public HttpSink {
public:
  BodyWriter(int fd, std::uint64_t max_bytes) : fd_(fd), max_bytes_(max_bytes) {}

  [[nodiscard]] bool restart() override;
  [[nodiscard]] bool take(std::string_view bytes) override;
  [[nodiscard]] FetchProblem problem() const override { return problem_; }

  /// Writes what is still gathered; false: `problem()`.
  [[nodiscard]] bool finish();
  [[nodiscard]] std::uint64_t size() const { return size_; }

private:
  [[nodiscard]] bool write_out(std::string_view bytes);

  int fd_;
  std::uint64_t max_bytes_;
  std::uint64_t size_ = 0; ///< with what is gathered
  std::string gathered_;
  FetchProblem problem_ = FetchProblem::None;
};

class TextSink final : public HttpSink {
public:
  explicit TextSink(std::size_t max_bytes) : max_bytes_(max_bytes) {}

  [[nodiscard]] bool restart() override {
    text_.clear();
    problem_ = FetchProblem::None;
    return true;
  }
  [[nodiscard]] bool take(std::string_view bytes) override {
    if (bytes.size() > max_bytes_ - text_.size()) {
      problem_ = FetchProblem::TooLarge;
      return false;
    }
    text_ += bytes;
    return true;
  }
  [[nodiscard]] FetchProblem problem() const override { return problem_; }
  [[nodiscard]] const std::string &text() const { return text_; }

private:
  std::size_t max_bytes_;
  std::string text_;
  FetchProblem problem_ = FetchProblem::None;
};

} // namespace outguard::fetch
