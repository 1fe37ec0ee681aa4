#pragma once
// Follows the VM's flows through its policy: judged when they begin, again as names and hashes
// become known, at the latest when they end. What is not allowed is published; what began outside,
// once the guest has let it in. A flow that is settled costs its packets nothing. In constant
// memory: a flow that finds no room to wait is settled with what is known. Owned by the MatchSink,
// one thread.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "guest/packets/packet_pipeline.h"
#include "sensor/flow_owners.h"
#include "sensor/policy_judge.h"
#include "sensor/policy_repeats.h"

namespace outguard::sensor {

class PolicyFlows {
public:
  struct Counts {
    std::uint64_t allowed = 0, refused = 0, undecided = 0; ///< flows; one may be judged anew
    std::uint64_t repeats = 0;    ///< of those not allowed, not published: told before
    std::uint64_t unenforced = 0; ///< of those, with more to do than tell: too many a second
    std::uint64_t hurried = 0;    ///< settled early: too many waited
  };

  static constexpr std::size_t kMostWaiting = 4096;
  /// How long a flow may leave open what is not known of it, or the guest its answer.
  static constexpr std::int64_t kPatience = 10'000'000'000;
  /// An owner that was not found at the first packet is asked for once more then.
  static constexpr std::int64_t kOwnerPatience = 200'000'000;
  /// Repeats that are published for what is to be done about them, in a second.
  static constexpr std::uint32_t kMostRepeats = 50;

  /// Gets a match that has all but what is known of the flow itself.
  using Publish =
      std::function<void(const guest::PacketPipeline &, const guest::Flow &, MatchSeen)>;
  PolicyFlows(FlowOwners &owners, Publish publish)
      : owners_(owners), publish_(std::move(publish)) {}

  /// As PolicyJudge::use(); who calls shows on_flow() every flow that stands.
  [[nodiscard]] bool use(const UsePolicy &request);
  [[nodiscard]] const PolicyJudge &judge() const { return judge_; }
  [[nodiscard]] const Counts &counts() const { return counts_; }
  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }

  /// One that begins, or that stands: judged by this policy once.
  void on_flow(const guest::PacketPipeline &pipeline, const guest::Flow &flow);
  /// A name that the guest, or who came to it, gave the other end. Each is judged by itself.
  void on_named(const guest::PacketPipeline &pipeline, const guest::Flow &flow,
                std::string_view name);
  void on_ended(const guest::PacketPipeline &pipeline, const guest::Flow &flow);
  /// Looks at those that wait. Call some 100 times a second; cheap where none does.
  void settle(std::int64_t now_ns);

  /// A flow whose process's executable is to be hashed; on_hashed() gets the process back.
  struct Unhashed {
    const guest::PacketPipeline *pipeline;
    const guest::Flow *flow;
  };
  [[nodiscard]] std::optional<Unhashed> take_unhashed();
  [[nodiscard]] bool has_unhashed() const { return unhashed_ != 0; }
  /// nullptr: nobody could read it.
  void on_hashed(const ProcessSeen &process, const policy::Sha256 *hash);

private:
  using Key = std::pair<const guest::PacketPipeline *, std::uint64_t /*flow id*/>;
  struct Waiting {
    const guest::Flow *flow = nullptr;
    std::int64_t until_ns = 0;
    std::int64_t ask_owner_ns = 0;   ///< 0: asked
    std::uint8_t missing = 0;        ///< PolicyMissing bits that may come; 0: only an answer may
    bool unhashed = false;           ///< nobody hashes it yet
    bool unhashable = false;         ///< nobody could
    std::optional<std::string> host; ///< seen
    std::optional<policy::Sha256> sha256;
  };
  enum class Ends : std::uint8_t { Later, Now };

  /// True: it is settled. False: it waits on.
  [[nodiscard]] bool look(const Key &key, Waiting &waiting, Ends ends);
  [[nodiscard]] bool is_due(const Waiting &waiting) const;
  [[nodiscard]] Waiting patient(const guest::Flow &flow);
  void wait(const Key &key, Waiting waiting);
  void end(std::map<Key, Waiting>::iterator place);
  void note_unhashed(Waiting &waiting, bool is_unhashed);
  [[nodiscard]] std::uint8_t may_come(const Waiting &waiting, const policy::FlowFacts &facts) const;
  void tell(const Key &key, const guest::Flow &flow, const policy::FlowFacts &facts,
            const policy::Verdict &verdict, bool answered);
  [[nodiscard]] bool take_repeat();

  FlowOwners &owners_;
  Publish publish_;
  PolicyJudge judge_;
  PolicyRepeats repeats_;
  std::map<Key, Waiting> waiting_; ///< flows stay where they are until they end
  std::size_t unhashed_ = 0;       ///< of those, by Waiting::unhashed
  std::int64_t now_ns_ = 0;        ///< of the latest packet or look
  std::int64_t second_ = 0;        ///< in which `spent_` repeats were published
  std::uint32_t spent_ = 0;
  Counts counts_;
};

} // namespace outguard::sensor
