#pragma once
// What the responder may do with a VM: pause it, go on, look at and change its RAM. The interface
// has a fake in the tests; QemuControl is one QMP connection and QEMU's memory. One thread at a
// time.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"
#include "facts/memory_layout.h"
#include "hypervisor/gdb_stub.h"
#include "hypervisor/qmp_client.h"
#include "hypervisor/vm_found.h"

namespace outguard::hypervisor {

class VmControl {
public:
  VmControl() = default;
  VmControl(const VmControl &) = delete;
  VmControl &operator=(const VmControl &) = delete;
  virtual ~VmControl() = default;

  [[nodiscard]] virtual Result<RunState> status() = 0;
  [[nodiscard]] virtual Result<void> pause() = 0;
  [[nodiscard]] virtual Result<void> resume() = 0;
  /// Guest-physical; the whole range lies in one run of RAM, or OutOfRange as InvalidInput.
  [[nodiscard]] virtual Result<void> read(std::uint64_t address, std::span<std::uint8_t> out) = 0;
  [[nodiscard]] virtual Result<void> write(std::uint64_t address,
                                           std::span<const std::uint8_t> bytes) = 0;

  /// A connection to a stub of QEMU's debugger protocol (gdb_remote.h). The VM stands still until
  /// the stub comes by a command in `first_words` (packets) or later that lets it run. Refused: it
  /// did not run, or a stub is open already; Unsupported: there is none.
  [[nodiscard]] virtual Result<Fd> open_debugger(std::string_view first_words) {
    (void)first_words;
    return fail(ErrorCode::Unsupported, "no debugger stub");
  }
  /// After the detaching that let the VM run.
  [[nodiscard]] virtual Result<void> close_debugger() { return {}; }
  /// Whatever became of a debugger of ours: no breakpoint, no stub, the VM runs.
  [[nodiscard]] virtual Result<void> mend_debugger() { return {}; }
  /// How long no processor of the VM ran since this control is there, as its hypervisor tells it.
  [[nodiscard]] virtual std::chrono::nanoseconds stood() const { return {}; }
  /// Makes an idle guest take an interrupt that means nothing.
  virtual void disturb() {}
  /// Another process had this control too, and died.
  virtual void start_over() {}
};

class QemuControl : public VmControl {
public:
  /// `ram` is MemoryHandles::writable. Holds QEMU's only QMP seat until it is destroyed: keep it
  /// short.
  [[nodiscard]] static Result<std::unique_ptr<QemuControl>> open(const VmFound &vm,
                                                                 const MemoryLayout &ram);

  [[nodiscard]] Result<RunState> status() override { return qmp_.status(kWait); }
  [[nodiscard]] Result<void> pause() override { return qmp_.stop(kWait); }
  [[nodiscard]] Result<void> resume() override { return qmp_.cont(kWait); }
  [[nodiscard]] Result<void> read(std::uint64_t address, std::span<std::uint8_t> out) override;
  [[nodiscard]] Result<void> write(std::uint64_t address,
                                   std::span<const std::uint8_t> bytes) override;
  [[nodiscard]] Result<Fd> open_debugger(std::string_view first_words) override {
    return open_gdb_stub(qmp_, first_words);
  }
  [[nodiscard]] Result<void> close_debugger() override { return close_gdb_stub(qmp_); }
  [[nodiscard]] Result<void> mend_debugger() override { return mend_gdb_stub(qmp_); }
  [[nodiscard]] std::chrono::nanoseconds stood() const override { return qmp_.stood(); }
  void disturb() override;
  void start_over() override { qmp_.start_over(); }

private:
  /// A QEMU that does not stop at once will not be waited for: it is resumed and the plan given up.
  static constexpr std::chrono::milliseconds kWait{500};

  QemuControl(QmpClient qmp, Fd memory, MemoryLayout ram);
  [[nodiscard]] Result<std::uint64_t> host_address(std::uint64_t address, std::size_t length) const;

  QmpClient qmp_;
  Fd memory_; ///< /proc/PID/mem, read and write
  MemoryLayout ram_;
};

/// A pause that ends: resumes when destroyed if it was this object that paused. A VM that was not
/// running (an administrator's pause, a migration) is refused and left alone.
class PausedVm {
public:
  /// `on_pausing` runs right before the VM is told to stop.
  [[nodiscard]] static Result<PausedVm> pause(VmControl &control,
                                              const std::function<void()> &on_pausing = {});
  PausedVm(PausedVm &&other) noexcept;
  PausedVm &operator=(PausedVm &&) = delete;
  PausedVm(const PausedVm &) = delete;
  PausedVm &operator=(const PausedVm &) = delete;
  ~PausedVm();

  /// How long no processor ran; where nobody tells, from the order to stop until QEMU confirmed
  /// that the VM runs again.
  [[nodiscard]] Result<std::chrono::nanoseconds> resume();
  [[nodiscard]] std::chrono::nanoseconds paused_so_far() const;

private:
  explicit PausedVm(VmControl &control)
      : control_(&control), since_(monotonic_now()), stood_before_(control.stood()) {}

  VmControl *control_; ///< null: already resumed
  MonotonicTime since_;
  std::chrono::nanoseconds stood_before_;
};

} // namespace outguard::hypervisor
