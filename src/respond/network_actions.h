#pragma once
// What can be done to a flow on the network, as the responder sees it. TapActions does it on a real
// tap; tests have a fake.

#include <chrono>
#include <memory>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "facts/flow_seen.h"
#include "respond/packet_injector.h"
#include "respond/tap_filter.h"

namespace outguard::respond {

/// Where the flow stands for each end. They part once the flow is blocked: capture still sees what
/// the guest sends into the block, and the remote end never receives it.
struct ResetPositions {
  TcpPosition for_guest;
  TcpPosition for_remote;
};

class NetworkActions {
public:
  NetworkActions() = default;
  NetworkActions(const NetworkActions &) = delete;
  NetworkActions &operator=(const NetworkActions &) = delete;
  virtual ~NetworkActions() = default;

  // All fail with Unsupported when this flow or host has no way.
  /// Success: read back from the kernel.
  [[nodiscard]] virtual Result<void> block(const FlowSeen &flow, std::chrono::seconds ttl) = 0;
  /// Whether a reset of both ends can be made at all; sends nothing.
  [[nodiscard]] virtual Result<void> check_reset(const FlowSeen &flow,
                                                 const ResetPositions &positions) = 0;
  /// Success: resets left for both ends.
  [[nodiscard]] virtual Result<void> reset(const FlowSeen &flow,
                                           const ResetPositions &positions) = 0;
  /// Wakes whoever sleeps in the guest's socket: only once its process is marked to die.
  [[nodiscard]] virtual Result<void> wake(const FlowSeen &flow, const TcpPosition &position) = 0;
};

class TapActions : public NetworkActions {
public:
  /// `netns` is where `tap` is. Changes nothing there: the filter is made by the first block, so
  /// that watching leaves no trace.
  [[nodiscard]] static Result<std::unique_ptr<TapActions>> open(const Fd &netns,
                                                                const std::string &tap);

  [[nodiscard]] Result<void> block(const FlowSeen &flow, std::chrono::seconds ttl) override;
  [[nodiscard]] Result<void> check_reset(const FlowSeen &flow,
                                         const ResetPositions &positions) override;
  [[nodiscard]] Result<void> reset(const FlowSeen &flow, const ResetPositions &positions) override;
  [[nodiscard]] Result<void> wake(const FlowSeen &flow, const TcpPosition &position) override;

  /// Owned by this object.
  [[nodiscard]] Result<TapFilter *> filter();

private:
  TapActions(Fd netns, std::string tap, PacketInjector injector)
      : netns_(std::move(netns)), tap_(std::move(tap)), injector_(std::move(injector)) {}

  Fd netns_;
  std::string tap_;
  PacketInjector injector_;
  std::unique_ptr<TapFilter> filter_; ///< null before the first block
};

} // namespace outguard::respond
