#pragma once
// MISP warninglists as a guard: what is known to be no sign of anything is refused, what an analyst
// only ought to know of is kept and flagged. All lists are loaded before the first indicator is
// judged. One thread. Lists come from the user, yet each size is capped.

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "facts/intel_report.h"
#include "intel/guards/pattern_set.h"
#include "intel/guards/warning_list_reader.h"
#include "intel/guards/warning_rule.h"
#include "intel/indicator_guard.h"
#include "intel/ip_network.h"
#include "intel/report_writer.h"

namespace outguard::intel {

inline constexpr std::size_t kMaxWarningLists = 1024;
inline constexpr std::size_t kMaxWarningEntries = 8'000'000; ///< of all lists
inline constexpr std::size_t kMaxWarningFlags = 3;           ///< of one indicator

class WarningLists {
public:
  /// One JSON document. Takes what is good in it.
  [[nodiscard]] FeedReport add(const std::string &file, std::string_view json);

  /// Refuses what an entry means as a whole: the address, the name (or www. of it), the URL of the
  /// host alone, the digest. What is narrower (a name under it, another path, an uncommon port) or
  /// merely contains a substring is flagged: "drive.google.com/x" may be a good indicator.
  [[nodiscard]] GuardVerdict judge(const FeedIndicator &indicator);

  [[nodiscard]] std::size_t size() const { return lists_.size(); }

private:
  enum class Fit : std::uint8_t { Same, Narrower };
  struct List {
    std::string name, flag;
    WarningRule rule = WarningRule::Refuse;
    std::uint32_t types = 0; ///< see type_bit()
  };
  struct Mention {
    std::uint16_t list = 0;
    bool below = false;     ///< names under it too
    std::uint32_t next = 0; ///< of the same key, plus one; 0: none
  };
  struct Hash {
    using is_transparent = void;
    [[nodiscard]] std::size_t operator()(std::string_view key) const {
      return std::hash<std::string_view>()(key);
    }
  };
  /// Collects hits of one indicator.
  struct Hits {
    IndicatorType type;
    std::vector<std::uint16_t> refusing, flagging;
  };

  void take(const WarningListText &text, ReportWriter &report);
  [[nodiscard]] Receipt take_entry(std::string_view type, std::string_view entry,
                                   std::uint16_t list);
  [[nodiscard]] Receipt take_text(std::string_view entry, Mention mention);
  [[nodiscard]] Receipt take_network(std::string_view entry, std::uint16_t list);
  [[nodiscard]] Receipt store(std::string key, Mention mention);

  void hit(Hits &hits, std::uint16_t list, Fit fit) const;
  void look(Hits &hits, std::string_view key, Fit fit, bool parent) const;
  void look_network(Hits &hits, const IpNetwork &network, Fit fit) const;
  void look_name(Hits &hits, std::string_view name, Fit fit) const;
  void look_url(Hits &hits, std::string_view url) const;
  void look_value(Hits &hits, const IndicatorKey &key) const;
  void look_patterns(Hits &hits, const IndicatorKey &key);
  [[nodiscard]] GuardVerdict verdict(Hits &hits) const;

  std::vector<List> lists_;
  std::unordered_map<std::string, std::uint32_t, Hash, std::equal_to<>> heads_; ///< plus one
  std::vector<Mention> mentions_;
  std::array<std::array<bool, 129>, 2> lengths_{}; ///< prefix lengths that are there, a family
  PatternSet patterns_;
  std::uint32_t pattern_types_ = 0; ///< those that any list with patterns is for
};

} // namespace outguard::intel
