#pragma once
// For the tests of what we do at a tap: packets built from scratch, a tap of a bridge, a bpffs of
// the test's own. Header only; a test is one program.

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/internet_checksum.h"
#include "base/ip_address.h"
#include "hypervisor/network_namespace.h"
#include "respond/tap_program.h"

namespace outguard::respond {

using Bytes = std::vector<std::uint8_t>;

inline bool run(const std::string &command) {
  return std::system((command + " >/dev/null 2>&1").c_str()) == 0;
}

inline std::string output_of(const std::string &command) {
  std::string text;
  FILE *pipe = ::popen((command + " 2>&1").c_str(), "r");
  std::array<char, 4096> buffer{};
  for (std::size_t got = 0; (got = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
    text.append(buffer.data(), got);
  }
  ::pclose(pipe);
  return text;
}

/// In a mount namespace of our own. False: this host has no bpffs, or not for us.
inline bool mount_own_bpffs() {
  static const bool done = ::unshare(CLONE_NEWNS) == 0 &&
                           ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                           ::mount("bpf", kBpfFilesystem, "bpf", 0, nullptr) == 0;
  return done;
}

/// Before every frame of a tap; linux/virtio_net.h is no C++.
struct VnetHeader {
  std::uint8_t flags, gso_type;
  std::uint16_t hdr_len, gso_size, csum_start, csum_offset;
};

enum class Part { Whole, First, Later };

/// A packet between the guest and a remote end, in either direction.
struct Packet {
  std::uint8_t protocol = 17;
  std::string local = "10.9.0.2:4000", remote = "10.9.0.1:53";
  std::vector<std::uint16_t> tags{}; ///< types, outer first
  Part part = Part::Whole;
  std::uint16_t id = 7;
  std::size_t extensions = 0; ///< words of options, or IPv6 headers
  std::uint8_t hops = 64;
  std::uint8_t first_byte = 0; ///< of what has no ports: ICMP's type
};

class Writer {
public:
  Writer &number(std::uint64_t value, int bytes) {
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
      out_.push_back(static_cast<std::uint8_t>(value >> shift));
    }
    return *this;
  }
  Writer &bytes(std::span<const std::uint8_t> from) {
    out_.insert(out_.end(), from.begin(), from.end());
    return *this;
  }
  Bytes out_;
};

inline Bytes network_packet(const Packet &packet, const Endpoint &from, const Endpoint &to,
                            const Bytes &data) {
  Writer body;
  if (packet.part != Part::Later) {
    if (packet.protocol == 6) {
      body.number(from.port, 2).number(to.port, 2).number(1, 4).number(1, 4);
      body.number(0x5010, 2).number(1000, 2).number(0, 4);
    } else if (packet.protocol == 17) {
      body.number(from.port, 2).number(to.port, 2);
      body.number(static_cast<unsigned>(8 + data.size()), 2).number(0, 2);
    } else {
      body.number(packet.first_byte, 1).number(0, 7);
    }
  }
  body.bytes(data);
  Writer out;
  if (from.address.family == IpFamily::V4) {
    const auto header = static_cast<unsigned>(20 + 4 * packet.extensions);
    const unsigned place = packet.part == Part::First   ? 0x2000
                           : packet.part == Part::Later ? 64
                                                        : 0;
    out.number(0x40 | header / 4, 1).number(0, 1);
    out.number(header + static_cast<unsigned>(body.out_.size()), 2);
    out.number(packet.id, 2).number(place, 2).number(packet.hops, 1).number(packet.protocol, 1);
    out.number(0, 2).bytes(from.address.octets()).bytes(to.address.octets());
    for (std::size_t i = 0; i < packet.extensions; ++i) {
      out.number(0x01010101, 4); // no operation
    }
    const auto checksum = static_cast<std::uint16_t>(~fold_sum(add_words(out.out_)));
    out.out_[10] = static_cast<std::uint8_t>(checksum >> 8);
    out.out_[11] = static_cast<std::uint8_t>(checksum);
  } else {
    Writer extensions;
    const bool fragment = packet.part != Part::Whole;
    for (std::size_t i = 0; i < packet.extensions; ++i) {
      const bool last = i + 1 == packet.extensions;
      extensions.number(!last ? 60 : fragment ? 44 : packet.protocol, 1).number(0, 1);
      extensions.number(0x0104, 2).number(0, 4); // PadN
    }
    if (fragment) {
      extensions.number(packet.protocol, 1).number(0, 1);
      extensions.number(packet.part == Part::First ? 1 : 512, 2).number(packet.id, 4);
    }
    out.number(0x60000000, 4);
    out.number(static_cast<unsigned>(extensions.out_.size() + body.out_.size()), 2);
    out.number(packet.extensions > 0 ? 60 : fragment ? 44 : packet.protocol, 1);
    out.number(packet.hops, 1).bytes(from.address.octets()).bytes(to.address.octets());
    out.bytes(extensions.out_);
  }
  return out.bytes(body.out_).out_;
}

inline Bytes frame(const std::vector<std::uint16_t> &tags, std::uint16_t type, const Bytes &data) {
  Writer out;
  out.number(0xffffffff, 4).number(0xffff, 2).number(0x0200, 2).number(0x5e000001, 4);
  for (const auto tag : tags) {
    out.number(tag, 2).number(5, 2);
  }
  return out.number(type, 2).bytes(data).out_;
}

/// A real tap, whose guest's end is ours, that is the port of a bridge:
/// test ── tap.0 ── br0 ── w ── eth0 in "world".
class TapWorld {
protected:
  /// False: this host has no way.
  [[nodiscard]] bool make_namespaces() {
    const std::string id = "ogf" + std::to_string(::getpid());
    switch_ = id + "s";
    world_ = id + "w";
    return ::geteuid() == 0 && ::access("/dev/net/tun", R_OK | W_OK) == 0 &&
           run("ip netns add " + switch_) && run("ip netns add " + world_);
  }
  [[nodiscard]] bool make_devices() {
    netns_ = Fd(::open(("/run/netns/" + switch_).c_str(), O_RDONLY | O_CLOEXEC));
    make_tap();
    const std::string in = "ip -n " + switch_ + " ";
    const bool made = run(in + "link add br0 type bridge forward_delay 0 mcast_snooping 0 && " +
                          in + "link add w type veth peer name eth0 netns " + world_ + " && " + in +
                          "link set tap.0 master br0 up && " + in + "link set w master br0 up && " +
                          in + "link set br0 up && ip -n " + world_ + " link set eth0 up");
    world_socket_ = packet_socket(world_, "eth0");
    return made && tap_ && world_socket_;
  }
  void remove_world() {
    tap_.reset();
    world_socket_.reset();
    (void)run("ip netns delete " + switch_);
    (void)run("ip netns delete " + world_);
  }
  void make_tap() {
    auto made = hypervisor::in_namespace(netns_, []() -> Result<Fd> {
      Fd tun(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
      ifreq request{};
      std::strcpy(request.ifr_name, "tap.0");
      request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
      if (::ioctl(tun.get(), TUNSETIFF, &request) != 0 ||
          ::ioctl(tun.get(), TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) != 0) {
        return fail_errno("tap");
      }
      return tun;
    });
    EXPECT_TRUE(made) << made.error().message;
    tap_ = made ? std::move(*made) : Fd();
  }
  static Fd packet_socket(const std::string &netns, const char *device) {
    const Fd in(::open(("/run/netns/" + netns).c_str(), O_RDONLY | O_CLOEXEC));
    auto made = hypervisor::in_namespace(in, [&]() -> Result<Fd> {
      Fd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL)));
      sockaddr_ll address{};
      address.sll_family = AF_PACKET;
      address.sll_protocol = htons(ETH_P_ALL);
      address.sll_ifindex = static_cast<int>(::if_nametoindex(device));
      if (::bind(fd.get(), reinterpret_cast<sockaddr *>(&address), sizeof address) != 0) {
        return fail_errno("bind");
      }
      return fd;
    });
    return made ? std::move(*made) : Fd();
  }
  template <class Condition> static bool wait_for(Condition condition) {
    for (int i = 0; i < 200; ++i) {
      if (condition()) {
        return true;
      }
      ::usleep(50'000);
    }
    return false;
  }

  void send(const Bytes &bytes, bool from_guest, VnetHeader header = {}) const {
    if (from_guest) {
      Bytes whole(sizeof header);
      std::memcpy(whole.data(), &header, sizeof header);
      whole.insert(whole.end(), bytes.begin(), bytes.end());
      EXPECT_EQ(::write(tap_.get(), whole.data(), whole.size()),
                static_cast<ssize_t>(whole.size()));
    } else {
      EXPECT_EQ(::send(world_socket_.get(), bytes.data(), bytes.size(), 0),
                static_cast<ssize_t>(bytes.size()));
    }
  }
  [[nodiscard]] static Bytes token() {
    static std::uint32_t next = 0x7a000000;
    return Writer().number(0xf1a5c0de, 4).number(++next, 4).out_;
  }
  static Bytes frame_of(const Packet &packet, bool from_guest, const Bytes &data) {
    const auto local = *Endpoint::parse(packet.local);
    const auto remote = *Endpoint::parse(packet.remote);
    return frame(
        packet.tags, remote.address.family == IpFamily::V4 ? ETH_P_IP : ETH_P_IPV6,
        network_packet(packet, from_guest ? local : remote, from_guest ? remote : local, data));
  }

  std::string switch_, world_;
  Fd netns_, tap_, world_socket_;
};

} // namespace outguard::respond
