#pragma once
// Reading one strict YAML file: every key known and once, every value of its kind, every complaint
// with its place. Throws ConfigProblem, which load_config() turns into an Error; for the loader and
// its sections only.

#include <charconv>
#include <chrono>
#include <functional>
#include <initializer_list>
#include <map>
#include <string>
#include <vector>

#include <yaml-cpp/yaml.h>

namespace outguard::daemon {

struct ConfigProblem {
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

} // namespace outguard::daemon
