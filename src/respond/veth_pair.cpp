#include "respond/veth_pair.h"

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <vector>

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/socket.h>

#include "base/fd.h"

namespace outguard::respond {

namespace {

constexpr std::uint32_t kLargestMtu = 65535; // ETH_MAX_MTU: no change of the tap's can exceed it
constexpr std::uint8_t kNoAddress = 1;       // IN6_ADDR_GEN_MODE_NONE

/// A netlink request about one device; attributes are aligned as they are added.
class Request {
public:
  Request(std::uint16_t type, std::uint16_t flags, const ifinfomsg &link) {
    nlmsghdr header{};
    header.nlmsg_type = type;
    header.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
    raw(&header, sizeof header).raw(&link, sizeof link);
  }
  Request &raw(const void *from, std::size_t size) {
    const auto *begin = static_cast<const std::uint8_t *>(from);
    bytes_.insert(bytes_.end(), begin, begin + size);
    bytes_.resize(NLMSG_ALIGN(bytes_.size()));
    return *this;
  }
  Request &add(std::uint16_t type, const void *value, std::size_t size) {
    const rtattr header{static_cast<std::uint16_t>(RTA_LENGTH(size)), type};
    return raw(&header, sizeof header).raw(value, size);
  }
  Request &add(std::uint16_t type, const std::string &text) {
    return add(type, text.c_str(), text.size() + 1);
  }
  /// What `fill` adds lies in an attribute of its own.
  template <class Fill> Request &nest(std::uint16_t type, Fill fill) {
    const std::size_t at = bytes_.size();
    add(type, nullptr, 0);
    fill();
    const auto length = static_cast<std::uint16_t>(bytes_.size() - at);
    std::memcpy(bytes_.data() + at, &length, sizeof length);
    return *this;
  }
  /// The kernel's answer as errno, 0: done.
  [[nodiscard]] Result<int> send() {
    const Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    const auto length = static_cast<std::uint32_t>(bytes_.size());
    std::memcpy(bytes_.data(), &length, sizeof length);
    alignas(nlmsghdr) std::array<std::uint8_t, 4096> reply{};
    if (!socket || ::send(socket.get(), bytes_.data(), bytes_.size(), 0) < 0) {
      return fail_errno("netlink request");
    }
    const ssize_t got = ::recv(socket.get(), reply.data(), reply.size(), 0);
    nlmsghdr header{};
    nlmsgerr answer{};
    if (got < static_cast<ssize_t>(sizeof header + sizeof answer)) {
      return fail_errno("netlink answer");
    }
    std::memcpy(&header, reply.data(), sizeof header);
    std::memcpy(&answer, reply.data() + sizeof header, sizeof answer);
    return header.nlmsg_type == NLMSG_ERROR ? -answer.error : EPROTO;
  }

private:
  std::vector<std::uint8_t> bytes_;
};

Result<void> outcome(const Result<int> &answer, const std::string &what) {
  if (!answer) {
    return tl::unexpected(answer.error());
  }
  return *answer == 0
             ? Result<void>()
             : fail(*answer == EOPNOTSUPP ? ErrorCode::Unsupported : ErrorCode::SystemFailed,
                    what + ": " + std::strerror(*answer));
}

/// Up, and without an IPv6 address that would be made for it.
Result<void> set_up(int index) {
  ifinfomsg link{};
  link.ifi_index = index;
  Request quiet(RTM_NEWLINK, 0, link);
  quiet.nest(IFLA_AF_SPEC, [&] {
    quiet.nest(AF_INET6, [&] { quiet.add(IFLA_INET6_ADDR_GEN_MODE, &kNoAddress, 1); });
  });
  if (const auto answer = quiet.send(); !answer) { // a refusal: a host without IPv6
    return tl::unexpected(answer.error());
  }
  link.ifi_flags = link.ifi_change = IFF_UP | IFF_NOARP;
  return outcome(Request(RTM_NEWLINK, 0, link).send(), "set up a device");
}

} // namespace

Result<VethPair> make_veth_pair(const std::string &first, const std::string &second) {
  const ifinfomsg any{};
  Request make(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, any);
  const auto describe = [&](const std::string &name) {
    make.add(IFLA_IFNAME, name).add(IFLA_MTU, &kLargestMtu, sizeof kLargestMtu);
  };
  describe(first);
  make.nest(IFLA_LINKINFO, [&] {
    make.add(IFLA_INFO_KIND, std::string("veth"));
    make.nest(IFLA_INFO_DATA, [&] {
      make.nest(VETH_INFO_PEER, [&] {
        make.raw(&any, sizeof any);
        describe(second);
      });
    });
  });
  if (auto made = outcome(make.send(), "make the veth pair " + first); !made) {
    return tl::unexpected(made.error());
  }
  const VethPair pair{static_cast<int>(::if_nametoindex(first.c_str())),
                      static_cast<int>(::if_nametoindex(second.c_str()))};
  for (const int index : {pair.first, pair.second}) {
    if (auto up = set_up(index); !up) {
      (void)remove_device(first);
      return tl::unexpected(up.error());
    }
  }
  return pair;
}

Result<void> remove_device(const std::string &name) {
  ifinfomsg link{};
  link.ifi_index = static_cast<int>(::if_nametoindex(name.c_str()));
  if (link.ifi_index == 0) {
    return {};
  }
  const auto answer = Request(RTM_DELLINK, 0, link).send();
  return answer && *answer == ENODEV ? Result<void>() : outcome(answer, "remove " + name);
}

} // namespace outguard::respond
