#pragma once
// The sensor's one loop: answers requests from its control socket and pumps packets in between,
// until the other side closes. One thread; owns everything the sensor has.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/message_socket.h"
#include "facts/messages.h"
#include "sensor/evidence_reader.h"
#include "sensor/executable_hashes.h"
#include "sensor/guest_view.h"
#include "sensor/held_taps.h"
#include "sensor/match_sink.h"
#include "sensor/taps.h"

namespace outguard::sensor {

class RequestLoop : public Outlet {
public:
  explicit RequestLoop(MessageSocket control, const HoldSlots &held = {})
      : control_(std::move(control)), sink_(view_, *this),
        evidence_(view_, taps_,
                  [this](std::uint32_t id, Report report) { send(id, std::move(report)); }) {
    hold(held);
  }

  /// Returns when the control socket closes or breaks.
  void run();

  void publish(Report report) override;

private:
  void hold(const HoldSlots &held);
  /// Before anything else, and in between: a held packet waits for it.
  void judge_held();
  [[nodiscard]] bool answer_requests();
  void send(std::uint32_t id, Report report);

  // One for each Request; may move descriptors out of `fds`, the rest is closed afterwards.
  using Fds = std::vector<Fd>;
  void answer(std::uint32_t id, const AttachMemory &request, Fds &fds);
  void answer(std::uint32_t id, const OpenTap &request, Fds &fds);
  void answer(std::uint32_t id, const ReplayCapture &request, Fds &fds);
  void answer(std::uint32_t id, const UseIntel &request, Fds &fds);
  void answer(std::uint32_t id, const AddFeed &request, Fds &fds);      // refused: a compiler's job
  void answer(std::uint32_t id, const CompileIntel &request, Fds &fds); // refused
  void answer(std::uint32_t id, const ListProcesses &request, Fds &fds);
  void answer(std::uint32_t id, const ListSockets &request, Fds &fds);
  void answer(std::uint32_t id, const DescribeProcess &request, Fds &fds);
  void answer(std::uint32_t id, const FindOwner &request, Fds &fds);
  void answer(std::uint32_t id, const PlanKill &request, Fds &fds);
  void answer(std::uint32_t id, const PlanSignal &request, Fds &fds);
  void answer(std::uint32_t id, const CheckFate &request, Fds &fds);
  void answer(std::uint32_t id, const LocateFlow &request, Fds &fds);
  void answer(std::uint32_t id, const FindFlow &request, Fds &fds);
  void answer(std::uint32_t id, const LookUp &request, Fds &fds);
  void answer(std::uint32_t id, const CheckKernel &request, Fds &fds);
  void answer(std::uint32_t id, const GetCounters &request, Fds &fds);
  void answer(std::uint32_t id, const JudgeValue &request, Fds &fds); // refused
  void answer(std::uint32_t id, const DescribeIntel &request, Fds &fds);
  void answer(std::uint32_t id, const UsePolicy &request, Fds &fds);
  template <class Evidence> void answer(std::uint32_t id, const Evidence &request, Fds &fds);
  template <class Rows, class Row>
  void send_rows(std::uint32_t id, std::vector<Row> rows, const guest::Completeness &completeness);
  void add_own(CountersSeen &counters) const;
  [[nodiscard]] std::string not_ready() const;

  MessageSocket control_;
  GuestView view_;
  MatchSink sink_;
  ExecutableHashes hashes_{view_, *this, sink_};
  Taps taps_{sink_};
  HeldTaps held_;
  EvidenceReader evidence_;
  std::shared_ptr<const intel::IntelSet> intel_;
  guest::StageClock *clock_ = nullptr; ///< in a replay only
  std::uint64_t reports_lost_ = 0;     ///< the supervisor did not read them in time
};

} // namespace outguard::sensor
