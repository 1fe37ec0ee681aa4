#include "cli/target.h"

#include <filesystem>
#include <thread>

#include "base/clock.h"
#include "cli/scan_progress.h"
#include "facts/guest_text.h"
#include "hypervisor/vm_finder.h"

namespace outguard::cli {

namespace {

constexpr std::chrono::milliseconds kRetry{200};
constexpr std::string_view kFilePrefix = "file:";

tl::unexpected<Error> not_ready(const std::string &name, const GuestStateSeen &state) {
  return fail(ErrorCode::Unreachable, name + ": the guest is " + to_string(state.state) +
                                          (state.reason.empty() ? "" : ": " + state.reason));
}

Result<OpenedTarget> open_dump(const std::string &path, const launch::SymbolFiles &symbols) {
  auto sensor = launch::SensorProcess::start(launch::SensorRole::Guard);
  if (!sensor) {
    return tl::unexpected(sensor.error());
  }
  const auto start = monotonic_now();
  auto state = [&] {
    const ScanProgressLine progress(*sensor);
    return launch::attach_dump(*sensor, path, symbols);
  }();
  if (!state) {
    return tl::unexpected(state.error());
  }
  GuestText name(std::filesystem::path(path).filename().string());
  if (state->state != GuestState::Ready) {
    return not_ready(path, *state);
  }
  return OpenedTarget{std::move(name), std::move(*sensor), std::move(*state), "dump",
                      monotonic_now() - start};
}

Result<OpenedTarget> open_live(const std::string &target, std::chrono::milliseconds patience,
                               const launch::SymbolFiles &symbols) {
  const auto vm = hypervisor::resolve_target(target);
  if (!vm) {
    return tl::unexpected(vm.error());
  }
  GuestText name(vm->name.empty() ? vm->key() : vm->name);
  auto sensor = launch::SensorProcess::start(launch::SensorRole::Guard);
  if (!sensor) {
    return tl::unexpected(sensor.error());
  }
  const auto deadline = monotonic_now() + patience;
  while (true) {
    auto attached = launch::attach_live(*sensor, *vm, symbols);
    if (!attached) {
      return tl::unexpected(attached.error());
    }
    if (attached->state.state == GuestState::Ready) {
      return OpenedTarget{std::move(name), std::move(*sensor), std::move(attached->state),
                          std::move(attached->memory), attached->connect};
    }
    if (attached->state.state != GuestState::Booting || monotonic_now() >= deadline) {
      return not_ready(name.printable(), attached->state);
    }
    std::this_thread::sleep_for(kRetry);
  }
}

} // namespace

Result<OpenedTarget> open_target(const std::string &target, std::chrono::milliseconds patience,
                                 const launch::SymbolFiles &symbols) {
  return target.starts_with(kFilePrefix) ? open_dump(target.substr(kFilePrefix.size()), symbols)
                                         : open_live(target, patience, symbols);
}

} // namespace outguard::cli
