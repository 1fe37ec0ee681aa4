#include "sensor/guest_view.h"

#include <chrono>
#include <cstdio>
#include <thread>

#include <sys/stat.h>

#include "base/clock.h"
#include "guest/memory/cpu_registers.h"
#include "guest/memory/dump_file_memory.h"
#include "guest/memory/qemu_memory.h"
#include "guest/symbols/isf_reader.h"
#include "guest/symbols/kernel.h"

namespace outguard::sensor {

namespace {

std::string hex(std::uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
  return text;
}

std::string words_for(const guest::Fault &fault) {
  return std::string(guest::to_string(fault.code)) +
         (fault.address == 0 ? "" : " at " + hex(fault.address));
}

tl::unexpected<guest::GuestTrouble> trouble(const guest::SourceProblem &problem) {
  const auto where = problem.offset == 0 ? std::string() : " at " + hex(problem.offset);
  return tl::unexpected<guest::GuestTrouble>({GuestState::Unreadable, problem.reason + where, {}});
}

std::string what_failed(GuestState state) {
  switch (state) {
  case GuestState::Booting:
    return "no complete kernel in memory yet";
  case GuestState::NotLinux:
    return "no Linux kernel where the CPUs run";
  default:
    return "memory could not be read";
  }
}

} // namespace

Completeness describe(const guest::Completeness &completeness) {
  if (completeness.complete()) {
    return {};
  }
  return {true, std::string(guest::to_string(completeness.reason)) + ": " +
                    words_for(completeness.fault) + "; left out " +
                    std::to_string(completeness.left_out)};
}

const GuestStateSeen &GuestView::attach(const AttachMemory &request, std::vector<Fd> fds,
                                        const guest::ScanProgress &progress) {
  guest_.reset();
  memory_.reset();
  state_ = {};
  watch_.reset();
  is_live_ = request.kind == MemoryKind::Live;
  if (auto opened = open(request, std::move(fds), progress); !opened) {
    const auto &why = opened.error();
    guest_.reset();
    state_.state = why.fault.code == guest::FaultCode::SourceGone ? GuestState::Gone : why.state;
    state_.reason = why.what;
  }
  return state_;
}

tl::expected<void, guest::GuestTrouble> GuestView::open(const AttachMemory &request,
                                                        std::vector<Fd> fds,
                                                        const guest::ScanProgress &progress) {
  std::optional<guest::IsfFile> symbols;
  if (request.symbols_file && !fds.empty()) {
    auto file = guest::read_isf(std::move(fds.back()));
    if (!file) {
      return tl::unexpected<guest::GuestTrouble>(
          {GuestState::Unreadable, "the symbols file cannot be used: " + file.error(), {}});
    }
    symbols = std::move(*file);
    fds.pop_back();
  }
  std::vector<guest::CpuRegisters> registers;
  if (request.kind == MemoryKind::DumpFile) {
    struct stat status {};
    if (!fds.empty() && ::fstat(fds[0].get(), &status) == 0) {
      dumped_ = WallTime(std::chrono::seconds(status.st_mtim.tv_sec));
    }
    auto dump = guest::DumpFileMemory::open(fds.empty() ? Fd() : std::move(fds[0]));
    if (!dump) {
      return trouble(dump.error());
    }
    registers = (*dump)->registers();
    memory_ = std::move(*dump);
  } else {
    std::size_t files = 0;
    for (const auto &region : request.layout.regions) {
      files = std::max(files, static_cast<std::size_t>(std::max(region.file_index + 1, 0)));
    }
    Fd process;
    if (fds.size() > files) {
      process = std::move(fds[files]);
      fds.resize(files);
    }
    auto live = guest::QemuMemory::open(request.layout, std::move(process), std::move(fds));
    if (!live) {
      return trouble(live.error());
    }
    registers = guest::parse_registers(request.registers);
    memory_ = std::move(*live);
  }
  guest::SearchHelp help{symbols ? &*symbols : nullptr, progress, {}};
  if (is_live_) {
    help.wait = [](std::chrono::milliseconds time) { std::this_thread::sleep_for(time); };
  }
  auto kernel = guest::find_kernel(*memory_, registers, help);
  if (!kernel) {
    const auto &why = kernel.error();
    state_.wants_symbols = why.wants_file;
    state_.kernel.release = why.release;
    const auto what = why.what.empty() ? what_failed(why.state) : why.what;
    return tl::unexpected<guest::GuestTrouble>(
        {why.state, what + " (" + words_for(why.fault) + ")", why.fault});
  }
  auto guest = guest::LinuxGuest::attach(std::move(*kernel));
  if (!guest) {
    return tl::unexpected(guest.error());
  }
  guest_.emplace(std::move(*guest));
  if (auto checked = guest_->self_check(); !checked) {
    return checked;
  }
  state_.state = GuestState::Ready;
  state_.kernel = guest_->kernel();
  state_.gaps = guest_->gaps();
  auto integrity = guest_->integrity();
  state_.kernel.integrity = std::move(integrity.broken);
  state_.kernel.integrity_checks = integrity.checked;
  const auto first_beat = guest_->pulse().beat;
  const auto start = monotonic_now();
  static_cast<void>(guest_->sockets());
  state_.walk_ns = static_cast<std::uint64_t>((monotonic_now() - start).count());
  if (is_live_ && first_beat) {
    state_.kernel.clock = guest_->pulse().beat == first_beat ? "standing" : "moving";
  }
  return {};
}

WallTime GuestView::memory_time() const {
  return is_live_ ? wall_now() : dumped_;
}

bool GuestView::is_run_by(const std::string &registers) {
  if (!guest_) {
    return false;
  }
  const bool is_given_up = registers.empty() && is_live_ && watch_.gives_up(monotonic_now());
  if (!is_given_up && guest_->is_run_by(guest::parse_registers(registers))) {
    return true;
  }
  guest_.reset();
  state_ = {};
  state_.state = GuestState::Booting;
  state_.reason = is_given_up
                      ? "the clock of the kernel that was found stands, and no CPU can be asked"
                      : "the CPUs no longer run the kernel that was found";
  return false;
}

std::optional<Doubt> GuestView::doubt(MonotonicTime now) {
  if (!guest_ || !is_live_ || now < next_look_) {
    return std::nullopt;
  }
  next_look_ = now + KernelWatch::kInterval;
  return watch_.look(now, guest_->pulse(), memory_->outside());
}

bool GuestView::note(const guest::Completeness &completeness) {
  if (completeness.complete() || completeness.fault.code != guest::FaultCode::SourceGone) {
    return false;
  }
  guest_.reset();
  state_.state = GuestState::Gone;
  state_.reason = "QEMU has ended";
  return true;
}

} // namespace outguard::sensor
