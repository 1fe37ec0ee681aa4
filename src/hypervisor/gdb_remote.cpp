#include "hypervisor/gdb_remote.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include "facts/guest_text.h"

namespace outguard::hypervisor {

namespace {

using std::chrono::milliseconds;

constexpr int kMostStrayPackets = 64; ///< between a command and its answer
constexpr std::size_t kMostShownBytes = 64;
constexpr std::size_t kMostThreadBytes = 24;

// Of the `g` answer: 16 general registers and rip of 8 bytes, then eflags and six segments of 4.
constexpr std::size_t kRip = std::size_t{16} * 8, kEflags = kRip + 8, kCs = kEflags + 4,
                      kSs = kCs + 4;
constexpr std::size_t kWritten = kEflags + 4;
constexpr std::size_t kLeastRegisterBytes = kSs + 4;

std::string shown(std::string_view text) {
  return GuestText(std::string(text.substr(0, kMostShownBytes))).printable();
}

int digit_of(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  if (c >= 'a' && c <= 'f') {
    return c - 'a' + 10;
  }
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/// False: not that many bytes in hexadecimal.
bool from_hex(std::string_view text, std::span<std::uint8_t> out) {
  if (text.size() < out.size() * 2) {
    return false;
  }
  for (std::size_t i = 0; i < out.size(); ++i) {
    const int high = digit_of(text[2 * i]), low = digit_of(text[2 * i + 1]);
    if (high < 0 || low < 0) {
      return false;
    }
    out[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return true;
}

void append_hex(std::string &text, std::span<const std::uint8_t> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (const std::uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
}

unsigned sum_of(std::string_view payload) {
  unsigned sum = 0;
  for (const char c : payload) {
    sum += static_cast<unsigned char>(c);
  }
  return sum & 0xff;
}

bool is_stop_reply(std::string_view payload) {
  return !payload.empty() && (payload[0] == 'T' || payload[0] == 'S');
}

/// The guest's and QEMU's console output ("O" and hexadecimal), and calls for files.
bool is_chatter(std::string_view payload) {
  return payload.size() > 1 && (payload[0] == 'O' || payload[0] == 'F') && payload != "OK";
}

tl::unexpected<Error> odd(const char *to, std::string_view answer) {
  return fail(ErrorCode::InvalidInput,
              "the debugger stub answers \"" + shown(answer) + "\" to " + to);
}

} // namespace

Result<StopReply> parse_stop_reply(std::string_view payload) {
  std::array<std::uint8_t, 1> number{};
  if (!is_stop_reply(payload) || !from_hex(payload.substr(1), number)) {
    return fail(ErrorCode::InvalidInput, "not a stop reply: " + shown(payload));
  }
  StopReply reply{number[0], {}};
  constexpr std::string_view kThread = "thread:";
  if (const auto at = payload.find(kThread); payload[0] == 'T' && at != std::string_view::npos) {
    const auto rest = payload.substr(at + kThread.size());
    const auto thread = rest.substr(0, rest.find(';'));
    const bool plain = std::all_of(thread.begin(), thread.end(),
                                   [](char c) { return digit_of(c) >= 0 || c == 'p' || c == '.'; });
    if (!plain || thread.empty() || thread.size() > kMostThreadBytes) {
      return fail(ErrorCode::InvalidInput, "not a thread: " + shown(thread));
    }
    reply.thread = thread;
  }
  return reply;
}

// ---- Packets
// ---------------------------------------------------------------------------------------

Result<void> GdbRemote::send_bytes(std::string_view bytes) {
  // Below a socket's buffer by far: it goes out whole, or the other end does not read at all.
  const ssize_t sent =
      ::send(connection_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  return sent == static_cast<ssize_t>(bytes.size())
             ? Result<void>()
             : fail(ErrorCode::Unreachable, "the debugger stub's connection is lost");
}

Result<char> GdbRemote::next_byte(MonotonicTime deadline) {
  while (at_ == received_.size()) {
    const auto left = deadline - monotonic_now();
    if (left.count() <= 0) {
      return fail(ErrorCode::Timeout, "the debugger stub does not answer");
    }
    pollfd waiting{connection_.get(), POLLIN, 0};
    const auto wait = std::chrono::ceil<milliseconds>(left).count();
    if (::poll(&waiting, 1, static_cast<int>(wait)) <= 0) {
      continue;
    }
    std::array<char, 4096> chunk; // NOLINT(cppcoreguidelines-pro-type-member-init): filled by recv
    const ssize_t got = ::recv(connection_.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (got > 0) {
      received_.assign(chunk.data(), static_cast<std::size_t>(got));
      at_ = 0;
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
      return fail(ErrorCode::Unreachable, "the debugger stub's connection is lost");
    }
  }
  return received_[at_++];
}

Result<std::string> GdbRemote::next_packet(MonotonicTime deadline) {
  auto byte = next_byte(deadline);
  while (byte && *byte != '$') { // acknowledgements
    byte = next_byte(deadline);
  }
  std::string payload;
  for (byte = byte ? next_byte(deadline) : byte; byte && *byte != '#'; byte = next_byte(deadline)) {
    if (payload.size() == kMostPacketBytes) {
      return fail(ErrorCode::LimitReached, "the debugger stub's answer does not end");
    }
    payload += *byte;
  }
  const auto high = byte ? next_byte(deadline) : byte;
  const auto low = high ? next_byte(deadline) : high;
  if (!low) {
    return tl::unexpected(low.error());
  }
  return digit_of(*high) * 16 + digit_of(*low) == static_cast<int>(sum_of(payload))
             ? Result<std::string>(std::move(payload))
             : fail(ErrorCode::InvalidInput, "the debugger stub's answer is damaged");
}

Result<void> GdbRemote::send(std::initializer_list<std::string_view> commands) {
  return send_bytes(gdb::packets(commands));
}

// ---- Answers
// ---------------------------------------------------------------------------------------

Result<std::string> GdbRemote::answer(MonotonicTime deadline) {
  for (int stray = 0; stray < kMostStrayPackets; ++stray) {
    auto packet = next_packet(deadline);
    if (!packet || (!is_stop_reply(*packet) && !is_chatter(*packet))) {
      return packet;
    }
  }
  return fail(ErrorCode::InvalidInput, "the debugger stub talks of other things");
}

Result<void> GdbRemote::expect_ok(const char *to, MonotonicTime deadline) {
  const auto said = answer(deadline);
  if (!said) {
    return tl::unexpected(said.error());
  }
  if (said->empty()) {
    return fail(ErrorCode::Unsupported, std::string("the debugger stub does not know ") + to);
  }
  return *said == "OK" ? Result<void>() : odd(to, *said);
}

Result<StoppedRegisters> GdbRemote::registers(MonotonicTime deadline) {
  const auto said = answer(deadline);
  if (!said) {
    return tl::unexpected(said.error());
  }
  std::array<std::uint8_t, kLeastRegisterBytes> bytes{};
  if (!from_hex(*said, bytes)) {
    return odd("a look at the registers", *said);
  }
  StoppedRegisters registers;
  std::memcpy(registers.general.data(), bytes.data(), kRip);
  std::memcpy(&registers.rip, &bytes[kRip], sizeof registers.rip);
  std::memcpy(&registers.eflags, &bytes[kEflags], sizeof registers.eflags);
  std::memcpy(&registers.cs, &bytes[kCs], sizeof registers.cs);
  std::memcpy(&registers.ss, &bytes[kSs], sizeof registers.ss);
  return registers;
}

Result<void> GdbRemote::memory(std::span<std::uint8_t> out, MonotonicTime deadline) {
  const auto said = answer(deadline);
  if (!said) {
    return tl::unexpected(said.error());
  }
  return said->size() == out.size() * 2 && from_hex(*said, out) ? Result<void>()
                                                                : odd("a look at memory", *said);
}

Result<StopReply> GdbRemote::wait_for_stop(MonotonicTime deadline) {
  for (int stray = 0; stray < kMostStrayPackets; ++stray) {
    const auto packet = next_packet(deadline);
    if (!packet) {
      return tl::unexpected(packet.error());
    }
    if (!is_chatter(*packet)) {
      return parse_stop_reply(*packet);
    }
  }
  return fail(ErrorCode::InvalidInput, "the debugger stub talks of other things");
}

Result<StopReply> GdbRemote::interrupt(MonotonicTime deadline) {
  if (auto sent = send_bytes("\x03"); !sent) {
    return tl::unexpected(sent.error());
  }
  return wait_for_stop(deadline);
}

// ---- Commands
// --------------------------------------------------------------------------------------

namespace gdb {

std::string break_at(std::uint64_t address) {
  return fmt::format("Z1,{:x},1", address);
}

std::string choose(const StopReply &stop) {
  return "Hg" + (stop.thread.empty() ? "0" : stop.thread); // 0: as it is
}

std::string read_memory(std::uint64_t address, std::size_t length) {
  return fmt::format("m{:x},{:x}", address, length);
}

std::string write_memory(std::uint64_t address, std::span<const std::uint8_t> bytes) {
  std::string command = fmt::format("M{:x},{:x}:", address, bytes.size());
  append_hex(command, bytes);
  return command;
}

std::string write_registers(const StoppedRegisters &registers) {
  std::array<std::uint8_t, kWritten> bytes{};
  std::memcpy(bytes.data(), registers.general.data(), kRip);
  std::memcpy(&bytes[kRip], &registers.rip, sizeof registers.rip);
  std::memcpy(&bytes[kEflags], &registers.eflags, sizeof registers.eflags);
  std::string command = "G";
  append_hex(command, bytes);
  return command;
}

std::string packets(std::initializer_list<std::string_view> commands) {
  std::string bytes;
  for (const std::string_view command : commands) {
    bytes += fmt::format("${}#{:02x}", command, sum_of(command));
  }
  return bytes;
}

} // namespace gdb

} // namespace outguard::hypervisor
