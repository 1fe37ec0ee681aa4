#pragma once
// What is asked of a sensor for an archive of evidence, and of the process that packs it. Any
// thread; each call waits for its answer.

#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.h"
#include "launch/sensor_process.h"

namespace outguard::launch {

[[nodiscard]] Result<GuestStateSeen> describe_guest(SensorProcess &sensor);
[[nodiscard]] Result<Table<OpenFileSeen>> list_open_files(SensorProcess &sensor,
                                                          const ProcessIdentity &process);
[[nodiscard]] Result<EnvironmentRead> read_environment(SensorProcess &sensor,
                                                       const ProcessIdentity &process);
[[nodiscard]] Result<Table<LibrarySeen>> hash_libraries(SensorProcess &sensor,
                                                        const ProcessIdentity &process,
                                                        std::chrono::milliseconds wait);

/// A memfd that nobody can make larger or smaller; takes no memory before it is written to.
[[nodiscard]] Result<Fd> make_memory(std::uint64_t bytes);
/// `into`: of make_memory().
[[nodiscard]] Result<ExecutableCopied> copy_executable(SensorProcess &sensor,
                                                       const ProcessIdentity &process,
                                                       const Fd &into,
                                                       std::chrono::milliseconds wait);
[[nodiscard]] Result<PacketsCopied> copy_packets(SensorProcess &sensor, const Fd &into);

/// A sandboxed process that packs one archive.
class EvidencePacker {
public:
  /// `file`: open for writing.
  [[nodiscard]] static Result<EvidencePacker> start(const Fd &file, const std::string &folder,
                                                    std::uint64_t most_bytes);
  /// The first `bytes` of `part`; its SHA-256 in hexadecimal digits.
  [[nodiscard]] Result<std::string> add(const std::string &name, const Fd &part,
                                        std::uint64_t bytes, std::int64_t read_ns);
  [[nodiscard]] Result<void> finish();

private:
  explicit EvidencePacker(SensorProcess process) : process_(std::move(process)) {}
  SensorProcess process_;
};

} // namespace outguard::launch
