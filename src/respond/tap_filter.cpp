#include "respond/tap_filter.h"

#include <algorithm>
#include <array>

#include "respond/nft_filter.h"
#include "respond/tc_filter.h"

namespace outguard::respond {

namespace {

Result<void> check_network(const IpNetwork &network) {
  const auto parsed = IpNetwork::parse(network.to_string()); // knows lengths and stray bits
  return parsed && *parsed == network
             ? Result<void>()
             : fail(ErrorCode::InvalidInput, "no network: " + network.to_string());
}

bool has_ports(std::uint8_t protocol) {
  return protocol == static_cast<std::uint8_t>(IpProtocol::Tcp) ||
         protocol == static_cast<std::uint8_t>(IpProtocol::Udp);
}

struct Check {
  Result<void> operator()(const FlowRule &rule) const {
    if (!has_ports(rule.flow.protocol)) {
      return fail(ErrorCode::Unsupported, "only TCP and UDP flows can be blocked by port");
    }
    if (rule.flow.local.address.family != rule.flow.remote.address.family) {
      return fail(ErrorCode::InvalidInput, "a flow between two address families");
    }
    return {};
  }
  Result<void> operator()(const RemoteRule &rule) const { return check_network(rule.remote); }
  Result<void> operator()(const PortRule &rule) const {
    return has_ports(rule.protocol) ? Result<void>()
                                    : fail(ErrorCode::Unsupported, "only TCP and UDP have ports");
  }
  Result<void> operator()(const IsolationRule &rule) const {
    if (rule.allowed.size() > kMostAllowed) {
      return fail(ErrorCode::LimitReached, "more networks than an isolation can let through");
    }
    if (std::adjacent_find(rule.allowed.begin(), rule.allowed.end(),
                           std::greater_equal<IpNetwork>()) != rule.allowed.end()) {
      return fail(ErrorCode::InvalidInput, "allowed networks are not sorted, or not each once");
    }
    for (const auto &network : rule.allowed) {
      if (auto checked = check_network(network); !checked) {
        return checked;
      }
    }
    return {};
  }
};

/// Where an earlier run had to do with less than `best`: its rules come along, without a gap.
Result<void> take_over(TapFilter &best, TapFilter &earlier) {
  const auto rules = earlier.list();
  if (!rules) {
    return tl::unexpected(rules.error());
  }
  for (const auto &[rule, left] : *rules) {
    if (left.count() == 0) { // over by now
      continue;
    }
    if (auto added = best.add(rule, left); !added) {
      return added;
    }
  }
  return earlier.remove_all();
}

constexpr std::array kBestFirst{FilterMechanism::TcBpf, FilterMechanism::NftNetdev,
                                FilterMechanism::NftBridge};

} // namespace

Result<void> check_rule(const NetworkRule &rule, std::chrono::seconds ttl) {
  if (ttl.count() < 1 || ttl > kMostRuleTtl) {
    return fail(ErrorCode::InvalidInput, "a block needs a time to live of 1 s to 30 days");
  }
  return std::visit(Check(), rule);
}

const char *to_string(FilterMechanism mechanism) {
  switch (mechanism) {
  case FilterMechanism::TcBpf:
    return "tc-bpf";
  case FilterMechanism::NftNetdev:
    return "nft-netdev";
  case FilterMechanism::NftBridge:
    return "nft-bridge";
  }
  return "?";
}

Result<OpenTapFilter> open_tap_filter(const Fd &netns, const std::string &tap,
                                      std::optional<FilterMechanism> only) {
  std::string refusals;
  for (const auto mechanism : kBestFirst) {
    if (only && *only != mechanism) {
      continue;
    }
    Result<std::unique_ptr<TapFilter>> opened = mechanism == FilterMechanism::TcBpf
                                                    ? TcFilter::open(netns, tap)
                                                    : NftFilter::open(netns, tap, mechanism);
    if (opened) {
      for (const auto lesser : kBestFirst) {
        if (only || lesser <= mechanism) {
          continue;
        }
        const auto earlier = NftFilter::find(netns, tap, lesser);
        if (earlier && *earlier) {
          if (auto taken = take_over(**opened, **earlier); !taken) {
            return tl::unexpected(taken.error());
          }
        }
      }
      return OpenTapFilter{std::move(*opened), refusals};
    }
    if (only || opened.error().code == ErrorCode::NotFound) {
      return tl::unexpected(opened.error());
    }
    refusals += (refusals.empty() ? "" : "; ") + std::string(to_string(mechanism)) + ": " +
                opened.error().message;
  }
  return fail(ErrorCode::Unsupported, "nothing can filter at tap " + tap + ": " + refusals);
}

} // namespace outguard::respond
