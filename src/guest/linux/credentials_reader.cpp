#include "guest/linux/credentials_reader.h"

#include <algorithm>

namespace outguard::guest {
namespace {

constexpr std::array kIds = {"uid.val", "euid.val", "suid.val", "fsuid.val",
                             "gid.val", "egid.val", "sgid.val", "fsgid.val"};
// kernel_cap_t is two u32, low word first, up to 6.2 and one u64 since: the same eight bytes.
constexpr std::array kSets = {"cap_inheritable", "cap_permitted", "cap_effective", "cap_bset",
                              "cap_ambient"};

} // namespace

CredentialsReader::CredentialsReader(const TypeTable &types) {
  StructBinder cred(types, "cred", missing_);
  std::ranges::transform(kIds, ids_.begin(), [&](const char *id) { return cred.number(id); });
  std::ranges::transform(kSets, sets_.begin(), [&](const char *set) { return cred.bytes(set, 8); });
  user_namespace_ = cred.pointer("user_ns");
  extent_ = cred.extent();
}

CredentialsFound CredentialsReader::read(GuestVirtual cred, KernelReader &reader) const {
  ObjectCopy copy(extent_);
  if (!missing_.empty() || cred.is_null() || !copy.load(reader, cred)) {
    return {};
  }
  const auto id = [&](std::size_t index) {
    return static_cast<std::uint32_t>(copy.number(ids_.at(index)));
  };
  const auto set = [&](std::size_t index) { return copy.number(sets_.at(index)); };
  return {Credentials{id(0), id(1), id(2), id(3), id(4), id(5), id(6), id(7), set(0), set(1),
                      set(2), set(3), set(4)},
          copy.pointer(user_namespace_)};
}

} // namespace outguard::guest
