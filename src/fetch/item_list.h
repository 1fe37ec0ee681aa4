#pragma once
// The file that TAXII objects and MISP events are gathered in: a head, an item a line with commas
// between, a tail; all of it one JSON document. The last good copy is read back by lines, without
// parsing what stands in them. One thread.

#include <string_view>

#include "fetch/body_writer.h"

namespace outguard::fetch {

struct ListFrame {
  std::string_view head, tail; ///< a line each, with its end
};
inline constexpr ListFrame kTaxiiFrame{"{\"objects\":[\n", "]}\n"};
inline constexpr ListFrame kMispFrame{"[\n", "]\n"};

class ItemWriter {
public:
  ItemWriter(BodyWriter &body, ListFrame frame) : body_(&body), frame_(frame) {}

  [[nodiscard]] bool begin() { return body_->restart() && body_->take(frame_.head); }
  /// Without a line feed in it.
  [[nodiscard]] bool add(std::string_view item) {
    return body_->take(count_++ == 0 ? "" : ",\n") && body_->take(item);
  }
  [[nodiscard]] bool end() {
    return body_->take(count_ == 0 ? "" : "\n") && body_->take(frame_.tail) && body_->finish();
  }
  [[nodiscard]] std::uint64_t count() const { return count_; }

private:
  BodyWriter *body_;
  ListFrame frame_;
  std::uint64_t count_ = 0;
};

class ItemReader {
public:
  ItemReader(std::string_view text, ListFrame frame);

  /// False: no file of an ItemWriter's.
  [[nodiscard]] bool whole() const { return whole_; }
  /// Nothing after the last.
  [[nodiscard]] std::string_view next();

private:
  std::string_view rest_;
  bool whole_ = false;
};

} // namespace outguard::fetch
