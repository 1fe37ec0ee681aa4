#include "guest/linux/cgroup_reader.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "guest/linux/list_walk.h"

namespace outguard::guest {
namespace {

constexpr std::size_t kMostPathBytes = 4096; ///< PATH_MAX
constexpr int kMostDepth = 512;              ///< of a cgroup; each level has a name
constexpr std::size_t kMostNameBytes = 255;  ///< NAME_MAX
constexpr std::uint64_t kPage = 4096;
constexpr std::string_view kSystemd = "systemd";

/// A string that ends with NUL; nothing behind the page that its end lies in is read.
Result<std::string> read_name(GuestVirtual address, KernelReader &reader) {
  std::array<char, kMostNameBytes + 1> bytes{};
  std::size_t have = 0;
  while (have < bytes.size()) {
    const GuestVirtual at = address.plus_wrapping(have);
    const std::size_t count =
        std::min<std::uint64_t>(bytes.size() - have, kPage - at.raw() % kPage);
    const auto part = std::span(bytes).subspan(have, count);
    const auto done = reader.read(at, {reinterpret_cast<std::uint8_t *>(part.data()), count});
    if (!done) {
      return tl::unexpected(done.error());
    }
    const auto end = std::ranges::find(part, '\0');
    if (end != part.end()) {
      return std::string(bytes.data(), have + static_cast<std::size_t>(end - part.begin()));
    }
    have += count;
  }
  return fault(FaultCode::Malformed, address.raw());
}

} // namespace

CgroupReader::CgroupReader(const TypeTable &types) {
  StructBinder set(types, "css_set", missing_);
  default_cgroup_ = set.pointer("dfl_cgrp");
  links_ = set.bytes("cgrp_links", kListLinkBytes);
  set_ = set.extent();
  StructBinder cgroup(types, "cgroup", missing_);
  node_ = cgroup.pointer("kn");
  root_ = cgroup.pointer("root");
  cgroup_ = cgroup.extent();
  StructBinder node(types, "kernfs_node", missing_);
  parent_ = node.number({"parent", "__parent"}); // renamed in 6.15
  name_ = node.pointer("name");
  kernfs_ = node.extent();
  StructBinder link(types, "cgrp_cset_link", missing_);
  link_cgroup_ = link.pointer("cgrp");
  link_node_ = link.bytes("cgrp_link", kListLinkBytes);
  link_ = link.extent();
  root_name_ = StructBinder(types, "cgroup_root", missing_).place("name");
}

Result<std::string> CgroupReader::path_of_cgroup(GuestVirtual cgroup, KernelReader &reader) const {
  ObjectCopy copy(cgroup_);
  if (const auto loaded = copy.load(reader, cgroup); !loaded) {
    return tl::unexpected(loaded.error());
  }
  std::string path;
  ObjectCopy node(kernfs_);
  GuestVirtual at = copy.pointer(node_);
  for (int depth = 0;; ++depth) {
    if (const auto loaded = node.load(reader, at); !loaded) {
      return tl::unexpected(loaded.error());
    }
    const GuestVirtual parent = node.pointer(parent_);
    if (parent.is_null()) {
      return path.empty() ? "/" : path;
    }
    const auto name = read_name(node.pointer(name_), reader);
    if (!name) {
      return tl::unexpected(name.error());
    }
    if (depth == kMostDepth || name->empty() || path.size() + name->size() >= kMostPathBytes) {
      return fault(FaultCode::LimitReached, at.raw());
    }
    path.insert(0, "/" + *name);
    at = parent;
  }
}

Result<GuestVirtual> CgroupReader::systemd_cgroup(const ObjectCopy &css_set,
                                                  KernelReader &reader) const {
  const GuestVirtual head = css_set.address().plus_wrapping(links_.offset);
  ListWalk walk(reader, head, links_of(css_set, links_).next, head);
  Completeness completeness;
  ObjectCopy link(link_), cgroup(cgroup_);
  while (const auto at = walk.node(completeness)) {
    if (const auto loaded = link.load(reader, at->minus_wrapping(link_node_.offset)); !loaded) {
      return tl::unexpected(loaded.error());
    }
    if (!walk.accept(links_of(link, link_node_), completeness)) {
      continue;
    }
    const GuestVirtual found = link.pointer(link_cgroup_);
    if (const auto loaded = cgroup.load(reader, found); !loaded) {
      return tl::unexpected(loaded.error());
    }
    const auto name = read_name(cgroup.pointer(root_).plus_wrapping(root_name_.offset), reader);
    if (!name) {
      return tl::unexpected(name.error());
    }
    if (*name == kSystemd) {
      return found;
    }
  }
  if (!completeness.complete()) {
    return tl::unexpected(completeness.fault);
  }
  return GuestVirtual{};
}

std::optional<GuestText> CgroupReader::path_of(GuestVirtual css_set, KernelReader &reader) const {
  ObjectCopy set(set_);
  if (!missing_.empty() || css_set.is_null() || !set.load(reader, css_set)) {
    return std::nullopt;
  }
  auto path = path_of_cgroup(set.pointer(default_cgroup_), reader);
  if (path && *path == "/") {
    const auto systemd = systemd_cgroup(set, reader);
    if (!systemd) {
      return std::nullopt;
    }
    if (!systemd->is_null()) {
      path = path_of_cgroup(*systemd, reader);
    }
  }
  return path ? std::optional(GuestText(std::move(*path))) : std::nullopt;
}

} // namespace outguard::guest
