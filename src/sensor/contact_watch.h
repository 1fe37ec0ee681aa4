#pragma once
// Which flows count as contacts of a guest's program with a destination, under which keys, and
// which destinations are worth a finding of their own. One thread; owns the table.

#include <optional>
#include <string_view>

#include "guest/packets/flow.h"
#include "sensor/beacon_table.h"
#include "sensor/flow_notes.h"

namespace outguard::sensor {

enum class Listed : std::uint8_t { No, Yes };

class ContactWatch {
public:
  explicit ContactWatch(const guest::HashSeed &seed) : table_(seed) {}

  /// The guest names the remote end: contacts count under the name too, as addresses change.
  void on_named(const guest::Flow &flow, FlowNote &note, std::string_view name);
  /// Counts the flow; a score when it makes a finding. Private destinations, name resolution and
  /// time (ports 53, 123) make none unless they are listed.
  [[nodiscard]] std::optional<BeaconScore> on_ended(const guest::Flow &flow, const FlowNote &note,
                                                    Listed listed);
  /// The better of the flow's address and its name.
  [[nodiscard]] std::optional<BeaconScore> score(const guest::Flow &flow,
                                                 const FlowNote &note) const;

  [[nodiscard]] const BeaconTable::Counts &counts() const { return table_.counts(); }

private:
  BeaconTable table_;
};

} // namespace outguard::sensor
