#pragma once
// The guest of this sensor: its memory through whatever handle was given, the kernel found in it,
// and the named state when there is none. Owns the handles. One thread.

#include <memory>
#include <optional>
#include <vector>

#include "base/fd.h"
#include "facts/messages.h"
#include "guest/linux/linux_guest.h"
#include "guest/memory/memory_reader.h"
#include "sensor/kernel_watch.h"

namespace outguard::sensor {

class GuestView {
public:
  /// Drops what was attached before. The answer is also kept as state().
  const GuestStateSeen &attach(const AttachMemory &request, std::vector<Fd> fds,
                               const guest::ScanProgress &progress = {});

  [[nodiscard]] const GuestStateSeen &state() const { return state_; }
  /// When what guest() reads was so: now; of a dump, when its file was written last.
  [[nodiscard]] WallTime memory_time() const;
  /// nullptr unless the state is Ready.
  [[nodiscard]] guest::LinuxGuest *guest() { return guest_ ? &*guest_ : nullptr; }
  /// Registers read just now: false when the CPUs run another kernel, or none yet. The state is
  /// then Booting, and whoever asked attaches again. Empty: as KernelPulse::is_run_by(); and one
  /// whose clock stands for long is given up, so that all RAM is searched.
  [[nodiscard]] bool is_run_by(const std::string &registers);
  /// Call often; cheap. What the privileged side should find out, if anything.
  [[nodiscard]] std::optional<Doubt> doubt(MonotonicTime now);
  /// Call with each table's completeness: notices that QEMU is gone. True: the state changed.
  bool note(const guest::Completeness &completeness);

private:
  [[nodiscard]] tl::expected<void, guest::GuestTrouble>
  open(const AttachMemory &request, std::vector<Fd> fds, const guest::ScanProgress &progress);

  std::unique_ptr<guest::MemoryReader> memory_;
  std::optional<guest::LinuxGuest> guest_;
  GuestStateSeen state_;
  bool is_live_ = false; ///< a dump's clock stands for ever
  WallTime dumped_{};
  KernelWatch watch_;
  MonotonicTime next_look_{};
};

/// For people: "complete" has none.
[[nodiscard]] Completeness describe(const guest::Completeness &completeness);

} // namespace outguard::sensor
