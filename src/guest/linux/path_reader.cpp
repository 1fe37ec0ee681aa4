#include "guest/linux/path_reader.h"

namespace outguard::guest {
namespace {

constexpr std::size_t kMostPathBytes = 4096; ///< PATH_MAX: the guest's readlink prints no more
constexpr int kMostSteps = 2048; ///< names and mounts; a name has at least a slash and a letter
constexpr std::uint64_t kMostNameBytes = 255; ///< NAME_MAX

} // namespace

Result<std::string> PathReader::name_of(const ObjectCopy &dentry, KernelReader &reader) const {
  const std::uint64_t length = dentry.number(layout_.dentry_name_length);
  if (length == 0 || length > kMostNameBytes) {
    return fault(FaultCode::Malformed, dentry.address().raw());
  }
  std::string name(length, '\0');
  const GuestVirtual at = dentry.pointer(layout_.dentry_name);
  const std::uint64_t inside = at.raw() - dentry.address().raw();
  if (inside < layout_.dentry.size() && layout_.dentry.size() - inside >= length) {
    const auto bytes = dentry.bytes(
        {static_cast<std::uint32_t>(inside), static_cast<std::uint32_t>(length), 0, 0});
    name.assign(bytes.begin(), bytes.end());
    return name;
  }
  const auto done = reader.read(at, {reinterpret_cast<std::uint8_t *>(name.data()), name.size()});
  if (!done) {
    return tl::unexpected(done.error());
  }
  return name;
}

Result<bool> PathReader::cross_mount(PathPoint &at, GuestVirtual mount_root,
                                     KernelReader &reader) const {
  if (at.dentry != mount_root) {
    return fault(FaultCode::Malformed, at.dentry.raw()); // escaped from its mount
  }
  const GuestVirtual mount = at.mount.minus_wrapping(layout_.mount_to_vfsmount);
  ObjectCopy copy(layout_.mount);
  if (const auto loaded = copy.load(reader, mount); !loaded) {
    return tl::unexpected(loaded.error());
  }
  const GuestVirtual parent = copy.pointer(layout_.mount_parent);
  if (parent == mount) {
    return false;
  }
  at = {parent.plus_wrapping(layout_.mount_to_vfsmount), copy.pointer(layout_.mount_point)};
  return true;
}

Result<PathSeen> PathReader::read(PathPoint from, PathPoint root, KernelReader &reader) const {
  PathSeen seen;
  std::string path;
  ObjectCopy dentry(layout_.dentry);
  ObjectCopy mount(layout_.mount);
  GuestVirtual mount_root;
  GuestVirtual mount_root_of;
  int steps = 0;
  for (PathPoint at = from; at != root; ++steps) {
    if (steps == kMostSteps || path.size() > kMostPathBytes) {
      return fault(FaultCode::LimitReached, at.dentry.raw());
    }
    if (at.mount != mount_root_of) {
      const auto loaded = mount.load(reader, at.mount.minus_wrapping(layout_.mount_to_vfsmount));
      if (!loaded) {
        return tl::unexpected(loaded.error());
      }
      mount_root = mount.pointer(layout_.mount_root);
      mount_root_of = at.mount;
    }
    if (const auto loaded = dentry.load(reader, at.dentry); !loaded) {
      return tl::unexpected(loaded.error());
    }
    const bool is_top = dentry.pointer(layout_.dentry_parent) == at.dentry;
    const bool is_mount_root = at.dentry == mount_root;
    if (at == from) { // as d_unlinked() has it
      seen.deleted = dentry.pointer(layout_.dentry_unhashed).is_null() && !is_top;
    }
    if (is_mount_root || (is_top && at != from)) {
      const auto crossed = cross_mount(at, mount_root, reader);
      if (!crossed) {
        return tl::unexpected(crossed.error());
      }
      if (!*crossed) {
        break;
      }
      continue;
    }
    const auto name = name_of(dentry, reader);
    if (!name) {
      return tl::unexpected(name.error());
    }
    path.insert(0, "/" + *name);
    if (is_top) {
      seen.deleted = true; // a nameless file (memfd): the kernel prints "/NAME (deleted)"
      break;
    }
    at.dentry = dentry.pointer(layout_.dentry_parent);
  }
  seen.path = GuestText(path.empty() ? "/" : std::move(path));
  return seen;
}

} // namespace outguard::guest
