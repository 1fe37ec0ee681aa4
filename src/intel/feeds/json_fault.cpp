#include "intel/feeds/json_fault.h"

#include <string>

namespace outguard::intel {

namespace {

constexpr std::size_t kMaxDepth = 1024;

enum class Expect { Value, FirstValue, Key, FirstKey, Colon, Next, Nothing };

class Scanner {
public:
  explicit Scanner(std::string_view text) : text_(text) {}

  std::optional<std::size_t> run() {
    while (true) {
      at_ = std::min(text_.find_first_not_of(" \t\r\n", at_), text_.size());
      if (at_ == text_.size()) {
        return expect_ == Expect::Nothing ? std::nullopt : std::optional(at_);
      }
      if (!take(text_[at_])) {
        return at_;
      }
    }
  }

private:
  /// False leaves `at_` at the fault.
  bool take(char c) {
    switch (expect_) {
    case Expect::FirstValue:
      return c == ']' ? close() : value(c);
    case Expect::Value:
      return value(c);
    case Expect::FirstKey:
      if (c == '}') {
        return close();
      }
      [[fallthrough]];
    case Expect::Key:
      return c == '"' && string() && to(Expect::Colon);
    case Expect::Colon:
      return c == ':' && step(Expect::Value);
    case Expect::Next:
      if (c == ',') {
        return step(open_.back() == '{' ? Expect::Key : Expect::Value);
      }
      return c == (open_.back() == '{' ? '}' : ']') && close();
    case Expect::Nothing:
      return false;
    }
    return false;
  }

  bool to(Expect next) {
    expect_ = next;
    return true;
  }
  bool step(Expect next) {
    ++at_;
    return to(next);
  }
  bool after_value() { return to(open_.empty() ? Expect::Nothing : Expect::Next); }
  bool close() {
    open_.pop_back();
    ++at_;
    return after_value();
  }
  bool value(char c) {
    if (c == '{' || c == '[') {
      if (open_.size() == kMaxDepth) {
        return false;
      }
      open_ += c;
      return step(c == '{' ? Expect::FirstKey : Expect::FirstValue);
    }
    return (c == '"' ? string() : scalar()) && after_value();
  }
  bool string() {
    for (auto end = at_ + 1; end < text_.size(); ++end) {
      if (text_[end] == '\\') {
        ++end;
      } else if (text_[end] == '"') {
        at_ = end + 1;
        return true;
      } else if (text_[end] >= 0 && text_[end] < ' ') {
        at_ = end;
        return false;
      }
    }
    at_ = text_.size();
    return false;
  }
  bool scalar() {
    const auto end = std::min(text_.find_first_of(" \t\r\n,]}", at_), text_.size());
    const auto word = text_.substr(at_, end - at_);
    const bool number = word.find_first_not_of("0123456789+-.eE") == word.npos && !word.empty();
    if (!number && word != "true" && word != "false" && word != "null") {
      return false;
    }
    at_ = end;
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string open_; ///< the brackets around
  Expect expect_ = Expect::Value;
};

} // namespace

std::optional<std::size_t> find_json_fault(std::string_view text) {
  return Scanner(text).run();
}

} // namespace outguard::intel
