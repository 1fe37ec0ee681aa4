#include "hypervisor/qmp_client.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/socket.h>

#include "facts/guest_text.h"
#include "hypervisor/unix_socket.h"

namespace outguard::hypervisor {

namespace {

using Json = nlohmann::json;
using std::chrono::milliseconds;

/// Nobody nests QMP this deep; nlohmann recurses when it prints.
constexpr int kMostDepth = 64;
constexpr std::size_t kMostErrorBytes = 512;

/// End of the first complete JSON object in `text` (one past its brace), 0: not complete yet,
/// nullopt: not an object. Counting brackets outside strings is enough; the parser checks the rest.
std::optional<std::size_t> object_end(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  bool escaped = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      in_string = escaped || c != '"';
      escaped = !escaped && c == '\\';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMostDepth) {
        return std::nullopt;
      }
    } else if ((c == '}' || c == ']') && --depth <= 0) {
      return depth == 0 ? std::optional(i + 1) : std::nullopt;
    } else if (depth == 0 && c != ' ' && c != '\r' && c != '\n' && c != '\t') {
      return std::nullopt;
    }
  }
  return 0;
}

milliseconds left_until(MonotonicTime deadline) {
  return std::max(milliseconds(0), std::chrono::ceil<milliseconds>(deadline - monotonic_now()));
}

/// False at the deadline.
bool wait_for(int fd, short events, MonotonicTime deadline) {
  for (;;) {
    pollfd waiting{fd, events, 0};
    const int ready = ::poll(&waiting, 1, static_cast<int>(left_until(deadline).count()));
    if (ready > 0) {
      return true;
    }
    if (ready == 0 && monotonic_now() >= deadline) {
      return false;
    }
  }
}

/// QEMU's own words may repeat what a guest or user chose.
std::string shown(const std::string &text) {
  return GuestText(text.substr(0, kMostErrorBytes)).printable();
}

std::string text_member(const Json &object, const char *key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

/// When QEMU sent an event, by its wall clock; 0: it does not say.
std::chrono::microseconds time_of(const Json &event) {
  constexpr std::uint64_t kLastSecond = 1ULL << 33; // far beyond any date; the sum stays in range
  const Json at = event.value("timestamp", Json());
  const auto part = [&](const char *key, std::uint64_t most) {
    const auto found = at.is_object() ? at.find(key) : at.end();
    return found != at.end() && found->is_number_unsigned()
               ? std::min(found->get<std::uint64_t>(), most)
               : 0;
  };
  return std::chrono::seconds(part("seconds", kLastSecond)) +
         std::chrono::microseconds(part("microseconds", 999'999));
}

/// `descriptor` goes with the bytes unless it is negative.
ssize_t send_some(int socket, std::string_view text, int descriptor) {
  iovec part{const_cast<char *>(text.data()), text.size()}; // only read from
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (descriptor >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof descriptor);
    std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  }
  return ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

} // namespace

Result<QmpClient> QmpClient::connect(const std::string &path, pid_t expected_pid,
                                     milliseconds wait) {
  const auto deadline = monotonic_now() + wait;
  auto peer = connect_unix(path, wait);
  if (!peer) {
    return tl::unexpected(peer.error());
  }
  if (expected_pid != 0 && peer->pid != expected_pid) {
    return fail(ErrorCode::Refused, "QMP socket " + GuestText(path).printable() +
                                        " belongs to process " + std::to_string(peer->pid) +
                                        ", not to the VM's process " +
                                        std::to_string(expected_pid));
  }
  QmpClient client(std::move(peer->socket), peer->pid);
  if (auto agreed = client.negotiate(deadline); !agreed) {
    Error error = agreed.error();
    if (error.code == ErrorCode::Timeout) {
      error = {ErrorCode::Unreachable,
               "QMP socket busy: another client is connected (no greeting within " +
                   std::to_string(wait.count()) + " ms)"};
    }
    error.message += ": " + GuestText(path).printable();
    return tl::unexpected(std::move(error));
  }
  return client;
}

Result<void> QmpClient::negotiate(MonotonicTime deadline) {
  const auto greeting = next_object(deadline);
  if (!greeting) {
    return tl::unexpected(greeting.error());
  }
  const Json parsed = Json::parse(*greeting, nullptr, false);
  if (!parsed.is_object() || !parsed.contains("QMP")) {
    return fail(ErrorCode::InvalidInput, "not a QMP socket");
  }
  const auto agreed = execute("qmp_capabilities", "{}", left_until(deadline));
  return agreed ? Result<void>() : tl::unexpected(agreed.error());
}

Result<void> QmpClient::send(const std::string &text, int descriptor, MonotonicTime deadline) {
  for (std::string_view rest = text; !rest.empty();) {
    const ssize_t sent = send_some(socket_.get(), rest, descriptor);
    if (sent >= 0) {
      descriptor = -1; // it left with the first byte
      rest.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN) {
      if (!wait_for(socket_.get(), POLLOUT, deadline)) {
        return fail(ErrorCode::Timeout, "QMP takes no command");
      }
    } else if (errno != EINTR) {
      return fail(ErrorCode::Unreachable, "QMP connection lost");
    }
  }
  return {};
}

Result<std::string> QmpClient::next_object(MonotonicTime deadline) {
  std::size_t looked_at = 0;
  for (;;) {
    // A complete object ends in a brace: looking only when one arrived keeps this linear enough.
    if (received_.find('}', looked_at) != std::string::npos) {
      const auto end = object_end(received_);
      if (!end) {
        return fail(ErrorCode::InvalidInput, "QMP sent something that is not JSON");
      }
      if (*end > 0) {
        std::string object = received_.substr(0, *end);
        received_.erase(0, *end);
        return object;
      }
    }
    looked_at = received_.size();
    if (monotonic_now() > deadline) { // a peer that never stops talking
      return fail(ErrorCode::Timeout, "QMP does not answer");
    }
    if (received_.size() > kMostReplyBytes) {
      return fail(ErrorCode::LimitReached, "QMP reply longer than 8 MiB");
    }
    std::array<char, 65536> chunk; // NOLINT(cppcoreguidelines-pro-type-member-init): filled by recv
    const ssize_t got = ::recv(socket_.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (got > 0) {
      received_.append(chunk.data(), static_cast<std::size_t>(got));
    } else if (got == 0) {
      return fail(ErrorCode::Unreachable, "QMP connection closed");
    } else if (errno == EAGAIN) {
      if (!wait_for(socket_.get(), POLLIN, deadline)) {
        return fail(ErrorCode::Timeout, "QMP does not answer");
      }
    } else if (errno != EINTR) {
      return fail(ErrorCode::Unreachable, "QMP connection lost");
    }
  }
}

Result<std::string> QmpClient::execute(const std::string &command, const std::string &arguments,
                                       milliseconds wait, int descriptor) {
  const auto deadline = monotonic_now() + wait;
  const Json parsed_arguments = Json::parse(arguments, nullptr, false);
  if (!parsed_arguments.is_object()) {
    return fail(ErrorCode::InvalidInput, "arguments of " + command + " are not a JSON object");
  }
  // The id tells this command's answer from a late one of a command that was given up.
  const std::uint64_t id = ++last_id_;
  const Json request{{"execute", command}, {"arguments", parsed_arguments}, {"id", id}};
  const auto sent = send(request.dump(-1, ' ', true, Json::error_handler_t::replace) + "\n",
                         descriptor, deadline);
  if (!sent) {
    return tl::unexpected(sent.error());
  }
  for (;;) {
    const auto object = next_object(deadline);
    if (!object) {
      return tl::unexpected(Error{object.error().code, command + ": " + object.error().message});
    }
    const Json reply = Json::parse(*object, nullptr, false);
    if (!reply.is_object()) {
      return fail(ErrorCode::InvalidInput, command + ": QMP sent something that is not JSON");
    }
    if (reply.contains("event")) {
      count_event(text_member(reply, "event"), time_of(reply));
      continue;
    }
    if (reply.value("id", Json()) != Json(id)) {
      continue;
    }
    if (const auto found = reply.find("return"); found != reply.end()) {
      return found->dump(-1, ' ', false, Json::error_handler_t::replace);
    }
    const Json error = reply.value("error", Json::object());
    return fail(ErrorCode::Unsupported,
                command + ": QEMU says: " +
                    (error.is_object() ? shown(text_member(error, "desc")) : "an error"));
  }
}

void QmpClient::count_event(const std::string &name, std::chrono::microseconds at) {
  if (name == "STOP") {
    stopped_at_ = at;
  } else if (name == "RESUME" && stopped_at_.count() != 0) {
    stood_ += std::max(at - std::exchange(stopped_at_, {}), std::chrono::microseconds(0));
  }
}

Result<std::string> QmpClient::human(const std::string &line, milliseconds wait) {
  Json arguments = Json::object();
  arguments["command-line"] = line;
  auto reply = execute("human-monitor-command",
                       arguments.dump(-1, ' ', true, Json::error_handler_t::replace), wait);
  if (!reply) {
    return reply;
  }
  const Json text = Json::parse(*reply, nullptr, false);
  if (!text.is_string()) {
    return fail(ErrorCode::InvalidInput, "the human monitor's answer is not text");
  }
  return text.get<std::string>();
}

void QmpClient::start_over() {
  constexpr std::uint64_t kMoreThanAnybodyUsed = 1'000'000;
  constexpr int kMostChunks = 128; // a peer that never stops talking
  last_id_ += kMoreThanAnybodyUsed;
  received_.clear();
  std::array<char, 65536> chunk; // NOLINT(cppcoreguidelines-pro-type-member-init): filled by recv
  for (int i = 0;
       i<kMostChunks && ::recv(socket_.get(), chunk.data(), chunk.size(), MSG_DONTWAIT)> 0; ++i) {
  }
}

Result<RunState> QmpClient::status(milliseconds wait) {
  const auto reply = execute("query-status", "{}", wait);
  if (!reply) {
    return tl::unexpected(reply.error());
  }
  const Json parsed = Json::parse(*reply, nullptr, false);
  const auto running = parsed.is_object() ? parsed.find("running") : parsed.end();
  if (running == parsed.end() || !running->is_boolean()) {
    return fail(ErrorCode::InvalidInput, "query-status: not the answer that QMP documents");
  }
  return RunState{running->get<bool>(), shown(text_member(parsed, "status"))};
}

Result<void> QmpClient::stop(milliseconds wait) {
  const auto reply = execute("stop", "{}", wait);
  return reply ? Result<void>() : tl::unexpected(reply.error());
}

Result<void> QmpClient::cont(milliseconds wait) {
  const auto reply = execute("cont", "{}", wait);
  return reply ? Result<void>() : tl::unexpected(reply.error());
}

} // namespace outguard::hypervisor
