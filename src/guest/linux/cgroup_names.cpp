#include "guest/linux/cgroup_names.h"

#include <algorithm>
#include <utility>

namespace outguard::guest {
namespace {

constexpr std::size_t kIdDigits = 64;
constexpr std::string_view kScope = ".scope";
constexpr std::string_view kService = ".service";
constexpr std::string_view kLxcPayload = "lxc.payload";

/// Takes the last name off the path; empty: there is none left.
std::string_view take_last(std::string_view &path) {
  while (path.ends_with('/')) {
    path.remove_suffix(1);
  }
  const std::size_t slash = path.rfind('/');
  const std::string_view name = path.substr(slash == std::string_view::npos ? 0 : slash + 1);
  path.remove_suffix(name.size());
  return name;
}

bool is_id(std::string_view text) {
  return text.size() == kIdDigits && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

/// ID, or RUNTIME-ID.scope (the systemd driver), or SLICE:RUNTIME:ID (a systemd path under the
/// cgroupfs driver).
std::string_view id_in(std::string_view name) {
  if (name.ends_with(kScope)) {
    name.remove_suffix(kScope.size());
  }
  const std::size_t mark = name.find_last_of("-:");
  const bool has_runtime = mark != std::string_view::npos;
  const std::string_view id = has_runtime ? name.substr(mark + 1) : name;
  const bool is_monitor = has_runtime && name.substr(0, mark).ends_with("conmon");
  return is_id(id) && !is_monitor ? id : std::string_view{};
}

/// lxc.payload.NAME since LXC 4; lxc.payload/NAME in LXC 3; lxc/NAME before and in Proxmox.
std::string_view lxc_name(std::string_view name, std::string_view parent) {
  if (name.starts_with(kLxcPayload) && name.size() > kLxcPayload.size() + 1 &&
      name[kLxcPayload.size()] == '.') {
    return name.substr(kLxcPayload.size() + 1);
  }
  return parent == "lxc" || parent == kLxcPayload ? name : std::string_view{};
}

} // namespace

std::string container_of_cgroup(std::string_view path) {
  for (std::string_view name = take_last(path); !name.empty();) {
    const std::string_view parent = take_last(path);
    for (const std::string_view found : {id_in(name), lxc_name(name, parent)}) {
      if (!found.empty()) {
        return std::string(found);
      }
    }
    name = parent;
  }
  return {};
}

std::string unit_of_cgroup(std::string_view path) {
  for (std::string_view name = take_last(path); !name.empty(); name = take_last(path)) {
    for (const std::string_view suffix : {kService, kScope}) {
      if (name.ends_with(suffix) && name.size() > suffix.size()) {
        // systemd puts a '_' before a name that the kernel could take for one of its own files.
        return std::string(name.starts_with('_') ? name.substr(1) : name);
      }
    }
  }
  return {};
}

} // namespace outguard::guest
