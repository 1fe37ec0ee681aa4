#include "launch/attach.h"

#include <algorithm>

#include <fcntl.h>

#include "base/clock.h"
#include "hypervisor/packet_ring_opener.h"

namespace outguard::launch {

namespace {

/// Finding a kernel the slow way reads all RAM once; the fast way takes a tenth of a second.
constexpr std::chrono::minutes kAttachWait{2};
constexpr std::chrono::seconds kHandOverWait{10};
constexpr std::chrono::minutes kDescribeWait{1};

Result<GuestStateSeen> attach_once(SensorProcess &sensor, AttachMemory request,
                                   std::span<const int> fds) {
  auto report = sensor.call(std::move(request), fds, kAttachWait);
  if (!report) {
    return tl::unexpected(report.error());
  }
  if (auto *state = std::get_if<GuestStateSeen>(&*report)) {
    return std::move(*state);
  }
  return fail(ErrorCode::InvalidInput, "the sensor did not answer with the guest's state");
}

/// With a symbols file from the start, or in a second attempt where the kernel proved to need one.
Result<GuestStateSeen> attach(SensorProcess &sensor, AttachMemory request, std::vector<int> fds,
                              const SymbolFiles &symbols) {
  auto file = symbols.file();
  if (!file) {
    return tl::unexpected(file.error());
  }
  const auto with = [&](const Fd &symbols_file) {
    request.symbols_file = true;
    fds.push_back(symbols_file.get());
    return attach_once(sensor, request, fds);
  };
  if (*file) {
    return with(*file);
  }
  auto seen = attach_once(sensor, request, fds);
  if (!seen || !seen->wants_symbols) {
    return seen;
  }
  const auto needed = symbols.for_release(seen->kernel.release);
  if (!needed) {
    seen->reason += "; " + needed.error().message;
    return seen;
  }
  return with(*needed);
}

Result<void> hand_over(SensorProcess &sensor, Request request, const std::vector<int> &fds) {
  return sensor.call(std::move(request), fds, kHandOverWait).map([](const Report &) {});
}

} // namespace

Result<LiveAttachment> attach_live(SensorProcess &sensor, const hypervisor::VmFound &vm,
                                   const SymbolFiles &symbols) {
  const auto start = monotonic_now();
  auto handles = hypervisor::open_memory(vm);
  if (!handles) {
    return tl::unexpected(handles.error());
  }
  LiveAttachment attachment;
  attachment.connect = monotonic_now() - start;
  attachment.writable = handles->writable;
  attachment.memory = handles->files.empty() ? "process" : "mapped";
  auto state = attach(
      sensor, {MemoryKind::Live, std::move(handles->layout), std::move(handles->registers), false},
      handles->descriptors(), symbols);
  if (!state) {
    return tl::unexpected(state.error());
  }
  attachment.state = std::move(*state);
  if (handles->inferred && attachment.state.state != GuestState::Ready) {
    attachment.state.reason += "; there is no QMP socket to ask where its memory is: that was "
                               "inferred from the machine type";
  }
  return attachment;
}

Result<GuestStateSeen> attach_dump(SensorProcess &sensor, const std::string &path,
                                   const SymbolFiles &symbols) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) {
    return fail_errno(path);
  }
  return attach(sensor, {MemoryKind::DumpFile, {}, {}, false}, {file.get()}, symbols);
}

Result<void> open_tap(SensorProcess &sensor, const hypervisor::VmFound &vm,
                      const hypervisor::TapFound &tap, std::uint64_t keep_bytes) {
  auto opened = hypervisor::open_packet_ring(vm, tap, keep_bytes);
  if (!opened) {
    return tl::unexpected(opened.error());
  }
  return hand_over(sensor, OpenTap{std::move(opened->ring)},
                   {opened->socket.get(), opened->openings.get()});
}

Result<SensorProcess> start_holding(HoldTaps request, const std::vector<Fd> &fds) {
  auto sensor = SensorProcess::start(SensorRole::GuardHold);
  if (!sensor) {
    return sensor;
  }
  std::vector<int> numbers;
  for (const Fd &fd : fds) {
    numbers.push_back(fd.get());
  }
  const auto given = hand_over(*sensor, std::move(request), numbers);
  return given ? std::move(sensor) : tl::unexpected(given.error());
}

Result<void> use_intel(SensorProcess &sensor, const Fd &image) {
  return hand_over(sensor, UseIntel{}, {image.get()});
}

Result<void> use_verified_intel(SensorProcess &sensor, const Fd *image, const Fd *delta) {
  std::vector<int> fds;
  for (const Fd *one : {image, delta}) {
    if (one != nullptr) {
      fds.push_back(one->get());
    }
  }
  return hand_over(sensor, UseIntel{false, false}, fds);
}

Result<void> use_delta(SensorProcess &sensor, const Fd &delta) {
  return hand_over(sensor, UseIntel{true, true}, {delta.get()});
}

Result<IntelStats> describe_intel(const Fd &image) {
  auto reader = SensorProcess::start(SensorRole::Guard);
  if (!reader) {
    return tl::unexpected(reader.error());
  }
  if (const auto used = use_verified_intel(*reader, &image, nullptr); !used) {
    return tl::unexpected(used.error());
  }
  auto answer = reader->call(DescribeIntel{}, {}, kDescribeWait);
  if (!answer) {
    return tl::unexpected(answer.error());
  }
  if (auto *stats = std::get_if<IntelStats>(&*answer)) {
    return std::move(*stats);
  }
  return fail(ErrorCode::InvalidInput, "the sensor did not describe its intelligence");
}

Result<void> verify_intel(const Fd &image) {
  auto reader = SensorProcess::start(SensorRole::Guard);
  return reader ? use_intel(*reader, image) : tl::unexpected(reader.error());
}

} // namespace outguard::launch
