#include "intel/guards/pattern_set.h"

#include <algorithm>

#include <re2/re2.h>
#include <re2/set.h>

namespace outguard::intel {

namespace {

constexpr std::int64_t kMatcherBytes = std::int64_t{64} << 20;

re2::RE2::Options options() {
  re2::RE2::Options options;
  options.set_case_sensitive(false);
  options.set_log_errors(false);
  options.set_max_mem(kMatcherBytes);
  return options;
}

/// PHP's notation, "/expression/flags", as MISP takes it, or the bare expression.
std::string_view expression_of(std::string_view pattern) {
  if (pattern.size() > 2 && pattern.front() == '/') {
    const auto end = pattern.rfind('/');
    const auto flags = pattern.substr(end + 1);
    if (end > 0 && flags.find_first_not_of("imsux") == flags.npos) {
      return pattern.substr(1, end - 1);
    }
  }
  return pattern;
}

} // namespace

struct PatternSet::Matcher {
  re2::RE2::Set set{options(), re2::RE2::UNANCHORED};
};

PatternSet::PatternSet() = default;
PatternSet::~PatternSet() = default;

bool PatternSet::add_substring(std::string_view text, std::uint32_t id) {
  return !text.empty() && add_regex(re2::RE2::QuoteMeta({text.data(), text.size()}), id);
}

bool PatternSet::add_regex(std::string_view pattern, std::uint32_t id) {
  const auto expression = expression_of(pattern);
  if (expression.empty() || expression.size() > kMaxPatternBytes ||
      patterns_.size() >= kMaxPatterns ||
      !re2::RE2(re2::StringPiece(expression.data(), expression.size()), options()).ok()) {
    return false;
  }
  patterns_.emplace_back(expression);
  ids_.push_back(id);
  matcher_.reset();
  return true;
}

bool PatternSet::make_matcher() {
  auto matcher = std::make_unique<Matcher>();
  for (const auto &pattern : patterns_) {
    static_cast<void>(matcher->set.Add(pattern, nullptr)); // each was tried alone
  }
  if (!matcher->set.Compile()) {
    return false;
  }
  matcher_ = std::move(matcher);
  return true;
}

std::vector<std::uint32_t> PatternSet::find(std::string_view text) {
  std::vector<std::uint32_t> found;
  if (patterns_.empty()) {
    return found;
  }
  if (matcher_ == nullptr && !make_matcher()) {
    ++failures_;
    return found;
  }
  std::vector<int> numbers;
  re2::RE2::Set::ErrorInfo error{};
  const bool any = matcher_->set.Match({text.data(), text.size()}, &numbers, &error);
  if (!any && error.kind != re2::RE2::Set::kNoError) {
    ++failures_;
  }
  std::sort(numbers.begin(), numbers.end());
  for (const int number : numbers) {
    found.push_back(ids_[static_cast<std::size_t>(number)]);
  }
  return found;
}

} // namespace outguard::intel
