#include "hypervisor/vm_control.h"

#include <algorithm>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"
#include "hypervisor/process_directory.h"

namespace outguard::hypervisor {

QemuControl::QemuControl(QmpClient qmp, Fd memory, MemoryLayout ram)
    : qmp_(std::move(qmp)), memory_(std::move(memory)), ram_(std::move(ram)) {}

Result<std::unique_ptr<QemuControl>> QemuControl::open(const VmFound &vm, const MemoryLayout &ram) {
  if (vm.qmp_path.empty()) {
    return fail(ErrorCode::Unsupported,
                "no QMP socket: the VM cannot be paused, and nothing is written while it runs");
  }
  auto qmp = QmpClient::connect(vm.qmp_path, vm.pid);
  if (!qmp) {
    return tl::unexpected(qmp.error());
  }
  const auto process = ProcessDirectory::open(vm.pid);
  const auto started = process ? process->start_time() : tl::unexpected(process.error());
  if (!started || *started != vm.start_time) {
    return fail(ErrorCode::NotFound, "the VM's process " + std::to_string(vm.pid) + " is gone");
  }
  auto memory = process->open_file("mem", O_RDWR);
  if (!memory) {
    return tl::unexpected(memory.error());
  }
  return std::unique_ptr<QemuControl>(
      new QemuControl(std::move(*qmp), std::move(*memory), ram)); // private constructor
}

Result<std::uint64_t> QemuControl::host_address(std::uint64_t address, std::size_t length) const {
  for (const auto &region : ram_.regions) {
    if (address >= region.guest_start && address - region.guest_start < region.length &&
        length <= region.length - (address - region.guest_start)) {
      return region.host_address + (address - region.guest_start);
    }
  }
  return fail(ErrorCode::InvalidInput, "the address is not in the VM's RAM");
}

Result<void> QemuControl::read(std::uint64_t address, std::span<std::uint8_t> out) {
  const auto at = host_address(address, out.size());
  if (!at) {
    return tl::unexpected(at.error());
  }
  const ssize_t got = ::pread(memory_.get(), out.data(), out.size(), static_cast<off_t>(*at));
  if (got < 0) {
    return fail_errno("read guest memory");
  }
  return static_cast<std::size_t>(got) == out.size()
             ? Result<void>()
             : fail(ErrorCode::SystemFailed, "guest memory read came back short");
}

Result<void> QemuControl::write(std::uint64_t address, std::span<const std::uint8_t> bytes) {
  const auto at = host_address(address, bytes.size());
  if (!at) {
    return tl::unexpected(at.error());
  }
  const ssize_t put = ::pwrite(memory_.get(), bytes.data(), bytes.size(), static_cast<off_t>(*at));
  if (put < 0) {
    return fail_errno("write guest memory");
  }
  return static_cast<std::size_t>(put) == bytes.size()
             ? Result<void>()
             : fail(ErrorCode::SystemFailed, "guest memory was written in part");
}

void QemuControl::disturb() {
  // A modifier alone does nothing, wherever a keyboard is looked at; a machine may have none.
  (void)qmp_.execute("send-key", R"({"keys": [{"type": "qcode", "data": "shift"}]})", kWait);
}

Result<PausedVm> PausedVm::pause(VmControl &control, const std::function<void()> &on_pausing) {
  const auto state = control.status();
  if (!state) {
    return tl::unexpected(state.error());
  }
  if (!state->running) {
    return fail(ErrorCode::Refused, "the VM is not running (" + state->status + ")");
  }
  if (on_pausing) {
    on_pausing();
  }
  PausedVm paused(control);
  if (const auto stopped = control.pause(); !stopped) {
    // QEMU may have stopped and only the answer been late.
    Error error = stopped.error();
    if (const auto resumed = paused.resume(); !resumed) {
      error.message += "; the VM may be left paused: " + resumed.error().message;
    }
    return tl::unexpected(std::move(error));
  }
  return paused;
}

PausedVm::PausedVm(PausedVm &&other) noexcept
    : control_(std::exchange(other.control_, nullptr)), since_(other.since_),
      stood_before_(other.stood_before_) {}

PausedVm::~PausedVm() {
  if (control_ != nullptr) {
    if (auto resumed = resume(); !resumed) {
      log::error("VM may be left paused: " + resumed.error().message);
    }
  }
}

Result<std::chrono::nanoseconds> PausedVm::resume() {
  if (control_ == nullptr) {
    return fail(ErrorCode::InvalidInput, "already resumed");
  }
  auto *control = std::exchange(control_, nullptr);
  auto resumed = control->resume();
  if (!resumed) {
    resumed = control->resume(); // `cont` may be said twice
  }
  if (!resumed) {
    return tl::unexpected(resumed.error());
  }
  const auto told = control->stood() - stood_before_;
  return told.count() > 0 ? told : paused_so_far();
}

std::chrono::nanoseconds PausedVm::paused_so_far() const {
  return monotonic_now() - since_;
}

} // namespace outguard::hypervisor
