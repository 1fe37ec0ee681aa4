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

Result<GuestStateSeen> attach(SensorProcess &sensor, AttachMemory request,
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

Result<void> hand_over(SensorProcess &sensor, Request request, int fd) {
  return sensor.call(std::move(request), {&fd, 1}, kHandOverWait).map([](const Report &) {});
}

} // namespace

Result<LiveAttachment> attach_live(SensorProcess &sensor, const hypervisor::VmFound &vm) {
  const auto start = monotonic_now();
  auto handles = hypervisor::open_memory(vm);
  if (!handles) {
    return tl::unexpected(handles.error());
  }
  LiveAttachment attachment;
  attachment.connect = monotonic_now() - start;
  attachment.writable = handles->writable;
  attachment.memory = handles->files.empty() ? "process" : "mapped";
  const auto fds = handles->descriptors();
  auto state = attach(
      sensor, {MemoryKind::Live, std::move(handles->layout), std::move(handles->registers), false}, fds);
  if (!state) {
    return tl::unexpected(state.error());
  }
  attachment.state = std::move(*state);
  return attachment;
}

Result<GuestStateSeen> attach_dump(SensorProcess &sensor, const std::string &path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) {
    return fail_errno(path);
  }
  const int raw = file.get();
  return attach(sensor, {MemoryKind::DumpFile, {}, {}, false}, {&raw, 1});
}

Result<void> open_tap(SensorProcess &sensor, const hypervisor::VmFound &vm,
                      const hypervisor::TapFound &tap) {
  auto opened = hypervisor::open_packet_ring(vm, tap);
  if (!opened) {
    return tl::unexpected(opened.error());
  }
  return hand_over(sensor, OpenTap{std::move(opened->ring)}, opened->socket.get());
}

Result<void> use_intel(SensorProcess &sensor, const Fd &image) {
  return hand_over(sensor, UseIntel{}, image.get());
}

} // namespace outguard::launch
