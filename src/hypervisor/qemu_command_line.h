#pragma once
// What QEMU's command line says about a VM. Pure functions over text that any local user may have
// written: a claim to check against the process itself, never a fact.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace outguard::hypervisor {

struct QemuCommandLine {
  std::string name;
  std::string uuid;    ///< lower case; empty: none given, or not a UUID
  std::string machine; ///< "pc", "q35", ...; empty: QEMU's default
  std::string accel;   ///< "kvm", "tcg", ...; empty: not named
  std::optional<std::uint64_t> memory_bytes;
  std::optional<std::uint64_t> most_ram_below_4g; ///< of the machine
  std::size_t numa_backends = 0;                  ///< nodes with a memory back end of their own
  std::vector<std::string> qmp_paths;             ///< Unix sockets, as written (maybe relative)
  std::vector<std::string> tap_names;
  std::vector<std::string> gaps; ///< what is there and cannot be used, and why
};

/// The kernel's limit for one argument is 128 KiB; libvirt's longest lines are below 64 KiB in all.
constexpr std::size_t kMostCommandLineBytes = std::size_t{256} * 1024;

/// /proc/PID/cmdline: arguments end with a NUL each.
[[nodiscard]] std::vector<std::string> split_arguments(std::string_view nul_separated);
[[nodiscard]] QemuCommandLine parse_command_line(std::span<const std::string> arguments);
/// True for the file name of a system emulator: "qemu-system-x86_64", "kvm", "qemu-kvm"; a folder
/// and the kernel's " (deleted)" do not matter.
[[nodiscard]] bool is_qemu_name(std::string_view program);

} // namespace outguard::hypervisor
