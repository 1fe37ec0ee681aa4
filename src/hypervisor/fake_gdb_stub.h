#pragma once
// A debugger stub at the end of a socket pair for tests, as QEMU 7.2's behaves, with faults to
// order. Owns its thread; records the packets it was sent. Header only, so that it is in no product
// binary.

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"

namespace outguard::hypervisor {

class FakeGdbStub {
public:
  enum class Fault {
    None,
    Silent,      ///< acknowledges nothing, answers nothing
    Endless,     ///< an answer that never ends
    BadChecksum, ///< of the first answer
    Garbage,     ///< registers that are none
    NeverHit,    ///< a breakpoint that nobody comes by; `^C` works
    LateHit,     ///< hit in the moment of the `^C`
    CloseAtHit,  ///< the connection ends
    RefuseWrite, ///< E14 to `M`
    OtherStop,   ///< stops for another reason
    Chatter,     ///< console output before every answer
    LosesFirst,  ///< the first packet stops a VM that still ran, and is lost
  };

  explicit FakeGdbStub(Fault fault = Fault::None) : fault_(fault) {
    std::array<int, 2> ends{};
    (void)!::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data());
    own_ = Fd(ends[0]);
    client_ = Fd(ends[1]);
    set_register(kRip, 8, kStop);
    set_register(std::size_t{7} * 8, 8, kStack);
    set_register(kRip + 8, 4, 0x46);
    set_register(kRip + 12, 4, 0x10);
    set_register(kRip + 16, 4, 0x18);
    registers_[0] = 0x11;
  }
  ~FakeGdbStub() {
    stopping_ = true;
    if (thread_.joinable()) {
      thread_.join();
    }
  }
  FakeGdbStub(const FakeGdbStub &) = delete;
  FakeGdbStub &operator=(const FakeGdbStub &) = delete;

  static constexpr std::uint64_t kStop = 0xffff'ffff'8110'0000, kStack = 0xffff'c900'0000'8f48;

  /// The client's end; the VM "stands" from now on, and the stub finds `first_words`.
  Fd connect(std::string_view first_words = {}) {
    running = false;
    (void)!::send(client_.get(), first_words.data(), first_words.size(), MSG_NOSIGNAL);
    thread_ = std::thread([this] { serve(); });
    return std::move(client_);
  }
  /// Memory that `m` reads; set before connect().
  void put(std::uint64_t address, std::vector<std::uint8_t> bytes) {
    memory_[address] = std::move(bytes);
  }
  void set_register(std::size_t offset, std::size_t size, std::uint64_t value) {
    std::memcpy(registers_.data() + offset, &value, size);
  }
  [[nodiscard]] std::vector<std::string> packets() const {
    const std::lock_guard lock(lock_);
    return packets_;
  }
  [[nodiscard]] bool was_sent(const std::string &start) const {
    const auto all = packets();
    return std::any_of(all.begin(), all.end(),
                       [&](const auto &packet) { return packet.rfind(start, 0) == 0; });
  }

  std::atomic<bool> running = true;
  std::atomic<int> breakpoints = 0;
  std::atomic<int> stray_acks = 0; ///< a byte too many, which stops a VM that runs

private:
  static constexpr std::size_t kRip = 128;

  static std::string hex(const std::vector<std::uint8_t> &bytes) {
    std::string text;
    for (const auto byte : bytes) {
      text += "0123456789abcdef"[byte >> 4];
      text += "0123456789abcdef"[byte & 15];
    }
    return text;
  }
  bool readable(int wait_ms) const {
    pollfd waiting{own_.get(), POLLIN, 0};
    return ::poll(&waiting, 1, wait_ms) > 0;
  }
  void say(const std::string &payload) {
    unsigned sum = 0;
    for (const char c : payload) {
      sum += static_cast<unsigned char>(c);
    }
    if (fault_ == Fault::BadChecksum && !spoiled_) {
      spoiled_ = true;
      sum += 1;
    }
    const std::string sums = hex({static_cast<std::uint8_t>(sum)});
    last_ = "$" + payload + "#" + sums;
    raw(last_);
    if (fault_ == Fault::BadChecksum) {
      last_ = last_.substr(0, last_.size() - 2) + hex({static_cast<std::uint8_t>(sum - 1)});
    }
    awaiting_ack_ = true;
  }
  void raw(const std::string &bytes) {
    (void)!::send(own_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }

  void serve() {
    say("T02thread:01;"); // unasked, as at every connect
    std::string packet;
    bool inside = false;
    int sum_digits = -1;
    while (!stopping_) {
      if (!readable(hit_pending_ ? 3 : 20)) {
        if (hit_pending_ && fault_ != Fault::NeverHit && fault_ != Fault::LateHit) {
          stop_by_hit();
        }
        continue;
      }
      char byte = 0;
      if (::recv(own_.get(), &byte, 1, 0) <= 0) {
        return;
      }
      if (fault_ == Fault::Silent) {
        continue;
      }
      if (awaiting_ack_) {
        if (byte == '-') {
          raw(last_);
        }
        awaiting_ack_ = byte != '+' && byte != '$';
        if (byte != '$') {
          continue;
        }
      }
      if (running || (fault_ == Fault::LosesFirst && !lost_)) {
        lost_ = true;
        if (byte != '\x03') {
          ++stray_acks;
        }
        running = false;
        if (fault_ == Fault::LateHit) {
          stop_by_hit();
        } else {
          hit_pending_ = false;
          say("T02thread:01;");
        }
      } else if (byte == '$') {
        packet.clear();
        inside = true;
      } else if (inside && byte == '#') {
        inside = false;
        sum_digits = 2;
      } else if (inside) {
        packet += byte;
      } else if (sum_digits > 0 && --sum_digits == 0) {
        raw("+");
        answer(packet);
      }
    }
  }

  void stop_by_hit() {
    hit_pending_ = false;
    running = false;
    if (fault_ == Fault::CloseAtHit) {
      ::shutdown(own_.get(), SHUT_RDWR);
      return;
    }
    say(fault_ == Fault::OtherStop ? "T0bthread:02;" : "T05thread:02;");
  }

  void answer(const std::string &packet) {
    {
      const std::lock_guard lock(lock_);
      packets_.push_back(packet);
    }
    if (fault_ == Fault::Chatter && packet != "vCont;c") {
      const std::string line =
          "$O6869#" + hex({static_cast<std::uint8_t>('O' + '6' + '8' + '6' + '9')});
      raw(line);
    }
    if (fault_ == Fault::Endless) {
      raw("$");
      while (!stopping_ && ::send(own_.get(), "xxxxxxxxxxxxxxxx", 16, MSG_NOSIGNAL) > 0) {
      }
    } else if (packet == "?") {
      breakpoints = 0;
      say("T05thread:01;");
    } else if (packet[0] == 'Z' || packet[0] == 'z') {
      breakpoints += packet[0] == 'Z' ? 1 : -1;
      say("OK");
    } else if (packet == "vCont;c") {
      running = true;
      hit_pending_ = breakpoints > 0;
    } else if (packet == "g") {
      say(fault_ == Fault::Garbage
              ? "zz"
              : hex(std::vector<std::uint8_t>(registers_.begin(), registers_.end())));
    } else if (packet[0] == 'm') {
      const auto found = memory_.find(std::stoull(packet.substr(1), nullptr, 16));
      say(found == memory_.end() ? "E14" : hex(found->second));
    } else if (packet[0] == 'M' && fault_ == Fault::RefuseWrite) {
      say("E14");
    } else if (packet[0] == 'D') {
      breakpoints = 0;
      running = true;
      say("OK");
    } else if (packet[0] == 'M' || packet[0] == 'G' || packet[0] == 'H') {
      say("OK");
    } else {
      say("");
    }
  }

  Fault fault_;
  Fd own_, client_;
  std::array<std::uint8_t, 164> registers_{};
  std::map<std::uint64_t, std::vector<std::uint8_t>> memory_;
  std::atomic<bool> stopping_ = false;
  bool awaiting_ack_ = false, hit_pending_ = false, spoiled_ = false, lost_ = false;
  std::string last_;
  mutable std::mutex lock_;
  std::vector<std::string> packets_;
  std::thread thread_;
};

} // namespace outguard::hypervisor
