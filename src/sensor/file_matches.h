#pragma once
// Where intelligence lists files: which flows' processes are to have their executables hashed, and
// what the hashes say. Owned by the MatchSink, one thread; hashes nothing itself.

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

#include "facts/messages.h"
#include "intel/intel_set.h"
#include "sensor/unhashed_flows.h"

namespace outguard::sensor {

class FileMatches {
public:
  static constexpr std::size_t kMostTold = 256; ///< a repeat of an older one is the detector's

  void use(std::shared_ptr<const intel::IntelSet> intel);
  [[nodiscard]] bool lists_files() const;

  /// Is this process's executable to be hashed?
  [[nodiscard]] bool wants(const ProcessSeen &process) const;
  /// A flow of such a process; false: no room.
  [[nodiscard]] bool add(MatchSeen flow) { return unhashed_.add(std::move(flow)); }
  [[nodiscard]] std::optional<MatchSeen> take() { return unhashed_.take(); }
  [[nodiscard]] bool empty() const { return unhashed_.empty(); }

  struct Judged {
    FileVerdict verdict = FileVerdict::Unknown;
    std::optional<MatchSeen> match; ///< Listed: of that flow, by the first digest that is
  };
  /// The hash of the executable of the process that `of` names first.
  [[nodiscard]] Judged judge(const MatchSeen &of, const FileHash &hash);
  /// False: of this flow it was told before. A flow that several indicators match has its process's
  /// executable hashed for each of them.
  [[nodiscard]] bool note_told(const MatchSeen &match);

private:
  [[nodiscard]] std::optional<MatchSeen> listed_file(const FileHash &hash, std::int64_t now) const;

  std::shared_ptr<const intel::IntelSet> intel_;
  UnhashedFlows unhashed_;
  using Told = std::tuple<std::string /*interface*/, std::uint64_t /*flow*/, GuestText>;
  std::deque<Told> told_;
};

} // namespace outguard::sensor
