#pragma once
// What the sensor remembers of a flow beyond the flow table's own record: whose it is, asked at its
// first packet, and by what name the guest called the remote end. Slots are reused; their number is
// capped, a flow that finds none is matched all the same and attributed when it matches.

#include <cstdint>
#include <optional>
#include <vector>

#include "facts/flow_seen.h"

namespace outguard::sensor {

struct FlowNote {
  Attribution attribution;
  std::size_t text_bytes = 0; ///< of the attribution
  std::uint64_t named = 0;    ///< BeaconTable's key of (process, name); 0: no name seen
  std::uint8_t blind = 0;     ///< Blindness bits beside the flow's own
  /// Who began, where the first packet that was seen does not say.
  std::optional<FlowDirection> initiator;
  std::uint32_t judged = 0;  ///< PolicyJudge's generation that it was judged by, or waits for
  std::uint32_t refused = 0; ///< the rule that it was told of last, by its hash; 0: none
};

class FlowNotes {
public:
  static constexpr std::size_t kMostNotes = 65536;

  /// Text of all notes together; beyond it a note keeps who the processes are and drops their paths
  /// and arguments. A guest chooses how long those are.
  static constexpr std::size_t kMostTextBytes = std::size_t{128} << 20;

  /// A number from 1, to be kept in Flow::user; 0: no room.
  [[nodiscard]] std::uint64_t open();
  void keep(FlowNote &note, Attribution attribution);
  /// nullptr for 0.
  [[nodiscard]] FlowNote *find(std::uint64_t number);
  void close(std::uint64_t number);

private:
  std::vector<FlowNote> notes_;
  std::vector<std::uint64_t> free_;
  std::size_t text_bytes_ = 0;
};

} // namespace outguard::sensor
