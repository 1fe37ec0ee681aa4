#include "hypervisor/gdb_stub.h"

#include <array>
#include <optional>

#include <nlohmann/json.hpp>
#include <sys/socket.h>

#include "hypervisor/gdb_remote.h"

namespace outguard::hypervisor {

namespace {

using Json = nlohmann::json;
using std::chrono::milliseconds;

constexpr milliseconds kWait{1000};
constexpr milliseconds kMendWait{3000}; ///< for a stub that is asked to let go
/// Two, so that one stub can take another's place in one command: in no moment are breakpoints left
/// without a stub that is known for ours.
constexpr std::array kOurs{"outguard-gdb", "outguard-gdb-again"};
/// A character device that does nothing: while it is there, we may be why the VM stands.
constexpr const char *kMark = "outguard-holds";
constexpr const char *kQemusOwn = "gdb"; ///< of -gdb, -s and HMP gdbserver, unless named otherwise

struct Found {
  bool others = false;             ///< a stub that is not ours
  std::array<bool, 2> there{};     ///< the devices of kOurs
  std::optional<std::size_t> ours; ///< that of them which a stub uses
  bool marked = false;
};

/// What the list of character devices tells of. A stub that an administrator opened on a character
/// device with a name of its own cannot be told from other uses.
Result<Found> find_stub(QmpClient &qmp) {
  const auto reply = qmp.execute("query-chardev", "{}", kWait);
  if (!reply) {
    return tl::unexpected(reply.error());
  }
  const Json devices = Json::parse(*reply, nullptr, false);
  if (!devices.is_array()) {
    return fail(ErrorCode::InvalidInput, "query-chardev: not the answer that QMP documents");
  }
  Found found;
  for (const Json &device : devices) {
    const Json label = device.is_object() ? device.value("label", Json()) : Json();
    found.others = found.others || label == Json(kQemusOwn);
    for (std::size_t i = 0; i < kOurs.size(); ++i) {
      if (label == Json(kOurs[i])) {
        found.there[i] = true;
        if (device.value("frontend-open", Json()) != Json(false)) {
          found.ours = i;
        }
      }
    }
    found.marked = found.marked || label == Json(kMark);
  }
  return found;
}

void remove_device(QmpClient &qmp, const char *label) {
  (void)qmp.execute("chardev-remove", Json{{"id", label}}.dump(), kWait);
}

Result<void> mark(QmpClient &qmp) {
  const Json backend{{"type", "null"}, {"data", Json::object()}};
  const auto done =
      qmp.execute("chardev-add", Json{{"id", kMark}, {"backend", backend}}.dump(), kWait);
  return done ? Result<void>() : tl::unexpected(done.error());
}

/// Two CPUs may hit a breakpoint at once. QEMU (7.2, main_loop_should_exit) acts on the second hit
/// in a later turn of its loop, maybe after the VM was let go for the first: it then stands once
/// more, and nobody is told. Once this is done the VM runs, or stands by somebody else's order.
Result<void> settle(QmpClient &qmp) {
  constexpr int kMostHits = 16;
  for (int hit = 0; hit < kMostHits; ++hit) {
    const auto state = qmp.status(kWait);
    if (!state) {
      return tl::unexpected(state.error());
    }
    if (state->status != "debug") {
      remove_device(qmp, kMark);
      return {};
    }
    if (auto done = qmp.cont(kWait); !done) {
      return done;
    }
  }
  return fail(ErrorCode::Timeout, "the VM stops at breakpoints that are no longer there");
}

Result<void> end_stub(QmpClient &qmp) {
  const auto closed = qmp.human("gdbserver none", kWait);
  return closed ? Result<void>() : tl::unexpected(closed.error());
}

/// QEMU's end of a socket pair, as the character device of a new stub, in the place of one that is
/// there.
Result<Fd> begin(QmpClient &qmp, const char *label, std::string_view first_words) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0) {
    return fail_errno("socketpair");
  }
  Fd own(ends[0]);
  const Fd theirs(ends[1]);
  if (::send(own.get(), first_words.data(), first_words.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(first_words.size())) {
    return fail_errno("socketpair");
  }
  auto done = qmp.execute("getfd", Json{{"fdname", label}}.dump(), kWait, theirs.get());
  if (!done) {
    return tl::unexpected(done.error());
  }
  const Json address{{"type", "fd"}, {"data", {{"str", label}}}};
  const Json backend{{"type", "socket"}, {"data", {{"addr", address}, {"server", false}}}};
  done = qmp.execute("chardev-add", Json{{"id", label}, {"backend", backend}}.dump(), kWait);
  if (!done) {
    (void)qmp.execute("closefd", Json{{"fdname", label}}.dump(), kWait);
    return tl::unexpected(done.error());
  }
  done = qmp.human(std::string("gdbserver chardev:") + label, kWait);
  if (!done || done->find("Could not") != std::string::npos) {
    remove_device(qmp, label);
    return done ? fail(ErrorCode::Unsupported, "QEMU could not open its debugger stub")
                : tl::unexpected(done.error());
  }
  return own;
}

} // namespace

Result<Fd> open_gdb_stub(QmpClient &qmp, std::string_view first_words) {
  const auto found = find_stub(qmp);
  if (!found) {
    return tl::unexpected(found.error());
  }
  if (found->others) {
    return fail(ErrorCode::Refused,
                "a debugger stub is open already; it may be an administrator's");
  }
  if (found->there[0] || found->there[1] || found->marked) {
    if (auto mended = mend_gdb_stub(qmp); !mended) {
      return tl::unexpected(mended.error());
    }
  }
  const auto state = qmp.status(kWait);
  if (!state) {
    return tl::unexpected(state.error());
  }
  if (!state->running) {
    return fail(ErrorCode::Refused, "the VM is not running (" + state->status + ")");
  }
  if (auto marked = mark(qmp); !marked) {
    return tl::unexpected(marked.error());
  }
  auto stub = begin(qmp, kOurs[0], first_words);
  if (!stub && stub.error().code == ErrorCode::Unsupported) {
    remove_device(qmp, kMark);
  }
  return stub;
}

Result<void> close_gdb_stub(QmpClient &qmp) {
  const auto closed = end_stub(qmp);
  return closed ? settle(qmp) : closed;
}

Result<void> mend_gdb_stub(QmpClient &qmp) {
  const auto found = find_stub(qmp);
  if (!found) {
    return tl::unexpected(found.error());
  }
  if (found->others) {
    return {};
  }
  for (std::size_t i = 0; i < kOurs.size(); ++i) {
    if (found->there[i] && found->ours != i) {
      remove_device(qmp, kOurs[i]);
    }
  }
  if (!found->ours) { // its breakpoints went with it
    return found->marked ? settle(qmp) : Result<void>();
  }
  auto again = begin(qmp, kOurs[1 - *found->ours], gdb::packets({gdb::kWhy, gdb::kDetach}));
  if (!again) {
    return tl::unexpected(again.error());
  }
  GdbRemote remote(std::move(*again));
  const auto let_go = remote.expect_ok("detaching", monotonic_now() + kMendWait);
  const auto closed = close_gdb_stub(qmp);
  return let_go ? closed : let_go;
}

} // namespace outguard::hypervisor
