#include "guest/linux/namespace_reader.h"

#include <string_view>

namespace outguard::guest {
namespace {

constexpr std::uint64_t kMostLevels = 32; // MAX_PID_NS_LEVEL
constexpr std::string_view kInode = "ns.inum";
/// The kernel's image is mapped from here on (Documentation/arch/x86/x86_64/mm.rst); what is
/// allocated never is. init_net and its like lie there.
constexpr GuestVirtual kImage(0xffff'ffff'8000'0000);
constexpr std::size_t kMostFirst = 16; ///< there are eight; more are a guest's joke

std::optional<Member> number_at(const TypeTable &types, std::string_view type,
                                std::string_view path) {
  std::string missing;
  StructBinder binder(types, type, missing);
  const Member member = binder.number(path);
  return missing.empty() ? std::optional(member) : std::nullopt;
}

Extent extent_of(const Member &member) {
  return {member.offset, member.offset + member.size};
}

} // namespace

NamespaceReader::NamespaceReader(const TypeTable &types)
    : user_inode_(number_at(types, "user_namespace", kInode)),
      pid_inode_(number_at(types, "pid_namespace", kInode)) {
  struct Name {
    std::optional<std::uint64_t> NamespacesSeen::*seen;
    std::string_view member, type;
  };
  constexpr std::array<Name, 6> kNames = {
      {{&NamespacesSeen::mnt, "mnt_ns", "mnt_namespace"},
       {&NamespacesSeen::net, "net_ns", "net"},
       {&NamespacesSeen::ipc, "ipc_ns", "ipc_namespace"},
       {&NamespacesSeen::uts, "uts_ns", "uts_namespace"},
       {&NamespacesSeen::cgroup, "cgroup_ns", "cgroup_namespace"},
       {&NamespacesSeen::time, "time_ns", "time_namespace"}}};
  std::string none;
  StructBinder proxy(types, "nsproxy", none);
  for (std::size_t index = 0; index < kNames.size(); ++index) {
    const Name &name = kNames.at(index);
    links_.at(index) = {name.seen, proxy.optional_member(name.member, sizeof(std::uint64_t)),
                        number_at(types, name.type, kInode)};
  }
  proxy_ = proxy.extent();

  StructBinder upid(types, "upid", pid_missing_);
  upid_number_ = upid.number("nr");
  upid_namespace_ = upid.pointer("ns");
  upid_ = upid.extent();
  upid_size_ = types.size_of("upid").value_or(0);
  StructBinder pid(types, "pid", pid_missing_);
  level_ = pid.number("level");
  numbers_ = pid.place("numbers").offset; // an array of 1 element, of none since 6.5
  pid_ = pid.extent();
}

std::optional<std::uint64_t> NamespaceReader::inode_of(GuestVirtual space,
                                                       const std::optional<Member> &inode,
                                                       KernelReader &reader) const {
  if (space.is_null() || !inode) {
    return std::nullopt;
  }
  const GuestVirtual place = space.plus_wrapping(inode->offset);
  if (const auto known = first_inodes_.find(place); known != first_inodes_.end()) {
    return known->second;
  }
  ObjectCopy copy(extent_of(*inode));
  if (!copy.load(reader, space)) {
    return std::nullopt;
  }
  const std::uint64_t number = copy.number(*inode);
  if (place >= kImage && number != 0 && first_inodes_.size() < kMostFirst) { // 0: not yet given
    first_inodes_.emplace(place, number);
  }
  return number;
}

NamespacesSeen NamespaceReader::of_proxy(GuestVirtual nsproxy, KernelReader &reader) const {
  NamespacesSeen seen;
  ObjectCopy copy(proxy_);
  if (nsproxy.is_null() || !copy.load(reader, nsproxy)) {
    return seen; // null: it is exiting, and has left its namespaces
  }
  for (const Link &link : links_) {
    if (link.pointer) {
      seen.*link.seen = inode_of(copy.pointer(*link.pointer), link.inode, reader);
    }
  }
  return seen;
}

std::optional<PidFound> NamespaceReader::innermost(GuestVirtual pid, KernelReader &reader) const {
  ObjectCopy copy(pid_);
  if (!pid_missing_.empty() || pid.is_null() || !copy.load(reader, pid)) {
    return std::nullopt;
  }
  const std::uint64_t level = copy.number(level_);
  ObjectCopy number(upid_);
  if (level > kMostLevels ||
      !number.load(reader, pid.plus_wrapping(numbers_ + level * upid_size_))) {
    return std::nullopt;
  }
  return PidFound{number.signed_number(upid_number_), number.pointer(upid_namespace_)};
}

} // namespace outguard::guest
