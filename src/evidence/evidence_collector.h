#pragma once
// Collects what a sensor can read of one process and files it as one archive: what is gone first is
// read first. Bounded in bytes and time; what could not be read is named, and does not keep the
// rest from being filed. Any thread; takes seconds.

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "launch/sensor_process.h"
#include "store/evidence_json.h"

namespace outguard::evidence {

struct Limits {
  std::uint64_t most_bytes = std::uint64_t{256} << 20;      ///< of an archive, packed
  std::uint64_t most_executable = std::uint64_t{128} << 20; ///< larger ones are not copied
  std::uint64_t most_packets = std::uint64_t{64} << 20;
  /// What is not begun by then is named as not read: a kill may be waiting.
  std::chrono::seconds most_time{60};
};

struct Filed {
  std::string path, sha256;
  std::uint64_t bytes = 0;
  std::vector<std::string> gaps; ///< "executable: partial: ..."; empty: all is complete
};

/// `step`: told of each part before it is read.
using Progress = std::function<void(const std::string &step)>;

/// `subject.process`: the pid alone, or all of it; then NotFound if the pid is another process's
/// now. `path`: of the archive, which is not there yet.
[[nodiscard]] Result<Filed> collect(launch::SensorProcess &sensor, store::EvidenceSubject subject,
                                    const std::string &path, const Limits &limits,
                                    const Progress &step = {});

/// "filed PATH, sha256 HEX, 1234 bytes", and what of it is not complete.
[[nodiscard]] std::string words_of(const Filed &filed);

/// "vm1-pid-42-a-0123456789ab.tar.zst" by the action's id, without one by the time; of the VM only
/// letters that are safe in a name.
[[nodiscard]] std::string archive_name(const store::EvidenceSubject &subject);

} // namespace outguard::evidence
