#include "respond/tap_look.h"

#include <array>

#include "respond/nft_filter.h"
#include "respond/tc_filter.h"

namespace outguard::respond {

namespace {

constexpr std::array kNftables{FilterMechanism::NftNetdev, FilterMechanism::NftBridge};

void add_reason(std::string &reasons, FilterMechanism mechanism, const Error &error) {
  reasons +=
      (reasons.empty() ? "" : "; ") + std::string(to_string(mechanism)) + ": " + error.message;
}

/// Reads what is at work.
Result<TapLook> look_into(const TapFilter &filter) {
  auto rules = filter.list();
  const auto drops = filter.drops();
  if (!rules || !drops) {
    return tl::unexpected(rules ? drops.error() : rules.error());
  }
  return TapLook{filter.mechanism(), filter.hook(), true, "", std::move(*rules), *drops};
}

} // namespace

Result<TapLook> look_at_tap(const Fd &netns, const std::string &tap, const Result<TapHook> &tc) {
  const auto pinned = TcFilter::find(netns, tap);
  if (!pinned) {
    return tl::unexpected(pinned.error());
  }
  if (*pinned) {
    return look_into(**pinned);
  }
  TapLook would;
  if (tc) {
    would.mechanism = to_string(FilterMechanism::TcBpf);
    would.hook = *tc == TapHook::Newest ? "tcx" : "clsact";
  } else {
    add_reason(would.why_not_better, FilterMechanism::TcBpf, tc.error());
  }
  for (const auto mechanism : kNftables) {
    // A host whose nftables cannot even be asked holds no rules of ours there.
    if (const auto there = NftFilter::find(netns, tap, mechanism); there && *there) {
      auto look = look_into(**there);
      if (look) {
        look->why_not_better = tc ? "its rules are from before tc-bpf could be had; the next rule "
                                    "moves them"
                                  : would.why_not_better;
      }
      return look;
    }
    if (!would.mechanism.empty()) {
      continue;
    }
    if (const auto able = NftFilter::probe(netns, tap, mechanism); !able) {
      add_reason(would.why_not_better, mechanism, able.error());
    } else {
      would.mechanism = to_string(mechanism);
      would.hook = mechanism == FilterMechanism::NftNetdev ? "netdev" : "bridge";
    }
  }
  return would;
}

} // namespace outguard::respond
