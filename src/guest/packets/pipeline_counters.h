#pragma once
// What a PacketPipeline has counted, part by part; sums over the taps of a VM.

#include <cstdint>

#include "guest/packets/drop_reason.h"
#include "guest/packets/flow_table.h"
#include "guest/packets/fragment_assembler.h"
#include "guest/packets/stream_assembler.h"

namespace outguard::guest {

/// What protocol parsers passed by.
struct ProtocolCounters {
  std::uint64_t quic_hellos = 0;
  std::uint64_t quic_unknown_versions = 0;
  std::uint64_t quic_unopened = 0;
  std::uint64_t quic_evicted = 0;
  std::uint64_t quic_gave_up = 0;
  std::uint64_t http2_refused = 0;
  std::uint64_t http2_let_go = 0;
  std::uint64_t certificates_lost = 0;
  std::uint64_t certificate_names_untold = 0;
};

struct PipelineCounters {
  /// What the source brought. A fragment is not counted as long as it waits for the others.
  PacketCounters packets;
  PacketCounters inside; ///< packets in tunnels; those around them are among `packets`
  FlowTableCounters flows;
  StreamCounters streams;
  FragmentCounters fragments;
  ProtocolCounters protocols;
  std::uint64_t observables = 0;
  std::uint64_t overfull = 0; ///< packets whose rest was passed over: so much was in them

  PipelineCounters &operator+=(const PipelineCounters &other);
};

} // namespace outguard::guest
