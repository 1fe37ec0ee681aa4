#include "store/socket_words.h"

#include <array>

#include <fmt/format.h>

namespace outguard::store {
namespace {

constexpr std::uint16_t kInet = 2, kInet6 = 10, kNetlink = 16, kPacket = 17;
constexpr std::uint16_t kMultipath = 262; // IPPROTO_MPTCP

/// include/linux/socket.h, by number. Families whose numbers were reused or are gone have no word.
constexpr std::array<const char *, 47> kFamilies = {
    nullptr,   "unix",   "inet",    "ax25",   "ipx",        "appletalk", "netrom", "bridge",
    "atmpvc",  "x25",    "inet6",   "rose",   nullptr,      nullptr,     nullptr,  "key",
    "netlink", "packet", nullptr,   nullptr,  "atmsvc",     "rds",       nullptr,  nullptr,
    "pppox",   nullptr,  "llc",     "ib",     "mpls",       "can",       "tipc",   "bluetooth",
    "iucv",    "rxrpc",  "isdn",    "phonet", "ieee802154", "caif",      "alg",    "nfc",
    "vsock",   "kcm",    "qipcrtr", "smc",    "xdp",        "mctp",      nullptr};
constexpr std::array<const char *, 11> kTypes = {nullptr, "stream",    "dgram", "raw",
                                                 "rdm",   "seqpacket", "dccp",  nullptr,
                                                 nullptr, nullptr,     "packet"};
/// include/uapi/linux/netlink.h
constexpr std::array<const char *, 23> kNetlinkProtocols = {
    "route",         nullptr,    "usersock", "firewall",       "sock_diag",  "nflog",
    "xfrm",          "selinux",  "iscsi",    "audit",          "fib_lookup", "connector",
    "netfilter",     "ip6_fw",   "dnrtmsg",  "kobject_uevent", "generic",    nullptr,
    "scsitransport", "ecryptfs", "rdma",     "crypto",         "smc"};

template <std::size_t Size>
std::string word_or_number(const std::array<const char *, Size> &words, std::uint16_t number) {
  return number < Size && words[number] != nullptr ? words[number] : std::to_string(number);
}

} // namespace

std::string family_name(std::uint16_t family) {
  return word_or_number(kFamilies, family);
}

std::string type_name(std::uint16_t type) {
  return word_or_number(kTypes, type);
}

std::string protocol_of(const OtherSocketSeen &socket) {
  switch (socket.family) {
  case kNetlink:
    return word_or_number(kNetlinkProtocols, socket.protocol);
  case kPacket:
    return fmt::format("{:#06x}", socket.protocol);
  case kInet:
  case kInet6:
    return socket.protocol == kMultipath ? "mptcp" : std::to_string(socket.protocol);
  default:
    return socket.protocol == 0 ? "-" : std::to_string(socket.protocol);
  }
}

} // namespace outguard::store
