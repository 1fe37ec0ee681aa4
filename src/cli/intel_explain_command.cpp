// intel explain: why a value, or a part of a flow or alert, matches or does not.
#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "base/ip_address.h"
#include "cli/intel_feeds.h"
#include "cli/problems.h"
#include "launch/attach.h"
#include "store/intel_explanation.h"

namespace outguard::cli {

namespace {

constexpr std::size_t kMaxParts = 64;
constexpr std::size_t kMaxEveLine = std::size_t{1} << 20;

using store::AlertPart;
using store::Explanation;

std::string day(std::int64_t seconds) {
  return seconds == 0 ? "-" : fmt::format("{:%F %H:%M} UTC", fmt::gmtime(seconds));
}

/// All that an EVE file says of one flow.
std::vector<AlertPart> parts_in(const std::string &path, const std::string &flow_id) {
  std::vector<AlertPart> parts;
  std::ifstream file(path);
  for (std::string line; parts.size() < kMaxParts && std::getline(file, line);) {
    if (line.size() > kMaxEveLine || line.find(flow_id) == line.npos) {
      continue;
    }
    for (auto &part : store::parts_of_eve(line, flow_id)) {
      const bool known = std::any_of(parts.begin(), parts.end(), [&](const AlertPart &other) {
        return other.value == part.value;
      });
      if (!known) {
        parts.push_back(std::move(part));
      }
    }
  }
  return parts;
}

/// A mistake in what was asked for is an InvalidInput.
Result<std::vector<AlertPart>> parts_of(const ExplainOptions &asked) {
  auto words = asked.words;
  if (words.size() == 1 && (words[0].starts_with("tcp ") || words[0].starts_with("udp "))) {
    std::istringstream quoted(words[0]);
    words.assign(std::istream_iterator<std::string>(quoted), {});
  }
  if (!asked.eve_file.empty()) {
    if (words.size() != 1 || words[0].find_first_not_of("0123456789") != std::string::npos) {
      return fail(ErrorCode::InvalidInput, "with --eve, one flow_id (a number) is explained");
    }
    if (!std::ifstream(asked.eve_file)) {
      return fail_errno(asked.eve_file);
    }
    auto parts = parts_in(asked.eve_file, words[0]);
    if (parts.empty()) {
      return fail(ErrorCode::NotFound, asked.eve_file + ": nothing of flow " + words[0]);
    }
    return parts;
  }
  if (words.size() == 3 && (words[0] == "tcp" || words[0] == "udp")) {
    const auto remote = Endpoint::parse(words[2]);
    if (!Endpoint::parse(words[1]) || !remote) {
      return fail(ErrorCode::InvalidInput, "an endpoint is ADDRESS:PORT or [ADDRESS]:PORT");
    }
    return std::vector<AlertPart>{{"remote address", remote->address.to_string()},
                                  {"remote endpoint", words[2]}};
  }
  if (words.size() != 1) {
    return fail(ErrorCode::InvalidInput, "a value, or a flow: tcp|udp LOCAL:PORT REMOTE:PORT");
  }
  if (words[0].starts_with('{')) {
    auto parts = store::parts_of_eve(words[0]);
    return parts.empty() ? fail(ErrorCode::InvalidInput, "that is no EVE line with addresses")
                         : Result<std::vector<AlertPart>>(std::move(parts));
  }
  return std::vector<AlertPart>{{"value", words[0]}};
}

/// `word` in `text`, not as a part of a longer word.
bool mentions(std::string text, std::string word) {
  for (auto *both : {&text, &word}) {
    std::transform(both->begin(), both->end(), both->begin(),
                   [](unsigned char c) { return c < 128 ? std::tolower(c) : c; });
  }
  const auto joins = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '.';
  };
  for (auto at = text.find(word); !word.empty() && at != text.npos; at = text.find(word, at + 1)) {
    const auto end = at + word.size();
    if ((at == 0 || !joins(text[at - 1])) && (end == text.size() || !joins(text[end]))) {
      return true;
    }
  }
  return false;
}

bool is_name(const std::string &value) {
  return value.find('/') == value.npos && !IpAddress::parse(value) && !Endpoint::parse(value);
}

/// The value; and of a name, what it is under, without the last label.
std::vector<std::string> names_of(const std::string &value) {
  std::vector<std::string> names{value};
  auto dot = is_name(value) ? value.find('.') : value.npos;
  for (auto next = dot; dot != value.npos && names.size() < kMaxParts; dot = next) {
    next = value.find('.', dot + 1);
    if (next != value.npos) {
      names.push_back(value.substr(dot + 1));
    }
  }
  return names;
}

std::vector<Explanation::Refused> refused_lines(const launch::CompiledIntel &compiled,
                                                const Explanation &about) {
  auto words = names_of(about.value); // a refused parent may be why
  words.emplace_back(about.judged.canonical.raw());
  std::vector<Explanation::Refused> found;
  for (const auto &feed : compiled.feeds) {
    for (const auto &line : feed.lines) {
      const std::string text(line.text.raw());
      if (std::any_of(words.begin(), words.end(),
                      [&](const std::string &word) { return mentions(text, word); })) {
        found.push_back({feed.name, line});
      }
    }
  }
  return found;
}

/// What the index was asked for, in words.
std::vector<std::string> tried(const std::string &value) {
  if (const auto address = IpAddress::parse(value)) {
    return {value, "networks around it"};
  }
  if (const auto end = Endpoint::parse(value)) {
    return {value, end->address.to_string(), "networks around it"};
  }
  if (value.find('/') != value.npos) {
    return {value, "listed prefixes of it", "its path on any host"};
  }
  auto names = names_of(value);
  std::for_each(names.begin() + 1, names.end(), [](auto &name) { name += " with subdomains"; });
  return names;
}

const char *in_words(std::string_view verdict) {
  return verdict == "matches"         ? "MATCHES: this raises an alert"
         : verdict == "allowed"       ? "no match: an allowlist covers it"
         : verdict == "removed"       ? "no match: removed since the lists were compiled"
         : verdict == "not_yet_valid" ? "no match: listed, but not valid yet"
         : verdict == "expired"       ? "no match: listed, but expired"
         : verdict == "refused"       ? "no match: a list has it, and it was refused at load"
                                      : "no match: not listed";
}

void row(const char *name, const std::string &text) {
  if (!text.empty()) {
    print_line(fmt::format("    {:<11} {}", name, text));
  }
}

void print_indicator(const IndicatorExplained &one) {
  const auto &hit = one.hit;
  print_line(
      fmt::format("  {} {}: {}", to_string(hit.type), hit.value.printable(), to_string(one.state)));
  row("source", fmt::format("{}:{}", hit.source.printable(), hit.source_line));
  for (std::size_t i = 1; i < one.sources.size(); ++i) {
    row("also in", one.sources[i].printable());
  }
  const std::string tlp(to_string(hit.tlp));
  row("confidence", fmt::format("{} of 100, severity {}, tlp {}", hit.confidence,
                                hit.severity == 0 ? "not given" : std::to_string(hit.severity),
                                tlp.empty() ? "not given" : tlp));
  if (hit.valid_from != 0 || hit.valid_until != 0) {
    row("valid", fmt::format("{} to {}", day(hit.valid_from), day(hit.valid_until)));
  }
  if (hit.first_seen != 0 || hit.last_seen != 0) {
    row("seen", fmt::format("{} to {}", day(hit.first_seen), day(hit.last_seen)));
  }
  row("id", hit.id.printable());
  row("about", hit.about.printable());
  std::string tags;
  for (const auto &tag : hit.tags) {
    tags += (tags.empty() ? "" : ", ") + tag.printable();
  }
  row("tags", tags);
}

std::string joined(const std::vector<std::string> &parts) {
  std::string text;
  for (const auto &part : parts) {
    text += (text.empty() ? "" : ", ") + GuestText(part).printable();
  }
  return text;
}

/// A URL, not a path or network.
bool has_host_before_path(const std::string &value) {
  const auto slash = value.find('/');
  return value.find("://") != value.npos ||
         (slash != value.npos && slash != 0 && !IpAddress::parse(value.substr(0, slash)));
}

void print_explanation(const Explanation &explanation) {
  const auto &explained = explanation.explained;
  const auto what = explanation.what == "value" ? "" : explanation.what + " ";
  print_line(fmt::format("{}{}: {}", what, GuestText(explanation.value).printable(),
                         in_words(store::verdict(explanation))));
  for (const auto &one : explained.indicators) {
    print_indicator(one);
  }
  if (const auto &by = explained.allowed_by) {
    print_line(fmt::format("  allowed by {} at {}:{}{}{}", by->value.printable(),
                           by->source.printable(), by->line,
                           by->comment.empty() ? "" : ": " + by->comment.printable(),
                           by->valid_until == 0 ? "" : " (until " + day(by->valid_until) + ")"));
  }
  for (const auto &one : explanation.refused) {
    print_line(fmt::format("  refused at {}:{}: {}: {}", GuestText(one.feed).printable(),
                           one.line.line, one.line.reason, one.line.text.printable()));
  }
  if (!explanation.judged.refusal.empty() && explained.indicators.empty()) {
    print_line(fmt::format("  {}: {}",
                           explanation.judged.by_guard ? "a guard would refuse such a line"
                                                       : "not the form of an indicator",
                           explanation.judged.refusal));
  }
  row("on the wire", explained.a_labels.printable());
  row("reads as", explained.u_labels.printable());
  if (explained.indicators.empty() && !explanation.judged.canonical.empty()) {
    row("looked for", joined(explanation.tried));
  }
  if (explanation.what == "value" && has_host_before_path(explanation.value)) {
    row("but not for", "its host, which is matched by itself: explain that too");
  }
}

Result<ValueExplained> look_up(launch::SensorProcess &sensor, const std::string &value) {
  const auto answer = sensor.call(LookUp{value}, {}, std::chrono::seconds(10));
  if (!answer) {
    return tl::unexpected(answer.error());
  }
  const auto *found = std::get_if<LookedUp>(&*answer);
  return found != nullptr ? Result<ValueExplained>(found->explained)
                          : fail(ErrorCode::InvalidInput, "the sensor did not look it up");
}

/// Nothing of what was given could be read: then there is nothing to explain by.
bool is_nothing_read(const launch::CompiledIntel &compiled) {
  return std::all_of(compiled.feeds.begin(), compiled.feeds.end(), [](const FeedReport &feed) {
    return feed.accepted + feed.rejected + feed.ignored == 0;
  });
}

/// Says on stderr what keeps the answer from being the last word.
void say_limits(const launch::CompiledIntel &compiled) {
  complain_of_left_out(compiled);
  for (const auto &feed : compiled.feeds) {
    if (!feed.problem.empty()) {
      complain(GuestText(feed.name).printable() + ": " + feed.problem);
    }
    for (const auto &kind : feed.ignored_kinds) {
      if (kind.reason == "revoked") {
        complain(fmt::format("{}: {} revoked objects were passed over",
                             GuestText(feed.name).printable(), kind.count));
      }
    }
    if (feed.rejected > feed.lines.size()) {
      complain(fmt::format("{}: of {} rejected lines the first {} are known one by one",
                           GuestText(feed.name).printable(), feed.rejected, feed.lines.size()));
    }
  }
}

} // namespace

Exit intel_explain(const Common &common, const IntelOptions &options, const ExplainOptions &asked) {
  const auto parts = parts_of(asked);
  if (!parts) {
    const auto code = report(parts.error());
    return parts.error().code == ErrorCode::InvalidInput ? Exit::Usage : code;
  }
  launch::ValuesToJudge values{{}, options.allow_reserved};
  for (const auto &part : *parts) {
    values.values.push_back(part.value);
  }
  const auto compiled = compile(options, values);
  if (!compiled) {
    return report(compiled.error());
  }
  say_limits(*compiled);
  const auto changes = compile_changes(options);
  if (!changes) {
    return report(changes.error());
  }
  const bool any_indicator = compiled->good() || changes->added != 0;
  if (!any_indicator && is_nothing_read(*compiled)) {
    complain(compiled->totals.problem);
    return Exit::Failed;
  }
  auto sensor = launch::SensorProcess::start(launch::SensorRole::Guard);
  if (!sensor) {
    return report(sensor.error());
  }
  if (const auto given = give(*sensor, compiled->image, *changes); !given) {
    return report(given.error());
  }
  bool any = false;
  for (std::size_t i = 0; i < parts->size(); ++i) {
    Explanation explanation{(*parts)[i].what, (*parts)[i].value, {}, compiled->judged[i], {}, {}};
    if (any_indicator) {
      auto explained = look_up(*sensor, explanation.value);
      if (!explained) {
        return report(explained.error());
      }
      explanation.explained = std::move(*explained);
    }
    explanation.refused = refused_lines(*compiled, explanation);
    explanation.tried = tried(explanation.value);
    any = any || std::string_view(store::verdict(explanation)) == "matches";
    if (common.format == Format::Json) {
      print_line(store::explanation_json(explanation));
    } else {
      print_explanation(explanation);
    }
  }
  return any ? Exit::Ok : Exit::NotFound;
}

} // namespace outguard::cli
