#pragma once
// Reading one strict YAML file: every key known and once, every value of its kind, every complaint
// with its place. The read_ functions throw Problem, which read_file() turns into an Error: only
// for what read_file() calls. Throws nothing itself.

#include <charconv>
#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <yaml-cpp/yaml.h>

#include "base/result.h"

namespace outguard::yaml {

inline constexpr std::size_t kMostFileBytes = std::size_t{1} << 20;

/// Hands the file's only document to `take`; an empty file is a null node. InvalidInput:
/// "FILE:LINE:COLUMN: what is wrong".
[[nodiscard]] Result<void> read_file(const std::string &path,
                                     const std::function<void(const YAML::Node &)> &take);

struct Problem {
  YAML::Mark mark;
  std::string what;
};

[[noreturn]] void reject(const YAML::Node &node, std::string what);

/// "; did you mean 'NAME'?" where one is close.
[[nodiscard]] std::string did_you_mean(const std::string &word,
                                       const std::vector<std::string> &names);

using Handler = std::function<void(const YAML::Node &)>;
using Handlers = std::map<std::string, Handler>;

/// Reads a mapping: every key must have a handler and stand once.
void read_mapping(const YAML::Node &node, const Handlers &handlers);
void read_list(const YAML::Node &node, const Handler &handler);
[[nodiscard]] std::string read_text(const YAML::Node &node);
[[nodiscard]] bool read_bool(const YAML::Node &node);
[[nodiscard]] std::chrono::seconds read_duration(const YAML::Node &node);
/// "64MiB", "512KiB", "1GiB", "0".
[[nodiscard]] std::uint64_t read_size(const YAML::Node &node, std::uint64_t least,
                                      std::uint64_t most);

/// "90s", "10m", "1h", "2d"; nullopt for anything else.
[[nodiscard]] std::optional<std::chrono::seconds> parse_duration(std::string_view text);

template <class Number> Number read_number(const YAML::Node &node, Number least, Number most) {
  Number value{};
  const auto text = read_text(node);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < least || value > most) {
    reject(node, "expected a number from " + std::to_string(least) + " to " + std::to_string(most));
  }
  return value;
}

/// One word of a closed list, by the names that to_string() gives.
template <class Enum> Enum read_word(const YAML::Node &node, std::initializer_list<Enum> values) {
  const auto text = read_text(node);
  std::vector<std::string> names;
  std::string all;
  for (const Enum value : values) {
    if (text == to_string(value)) {
      return value;
    }
    names.emplace_back(to_string(value));
    all += (all.empty() ? "" : ", ") + names.back();
  }
  reject(node, "expected one of " + all + did_you_mean(text, names));
}

} // namespace outguard::yaml
