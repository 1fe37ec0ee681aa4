#include "hypervisor/gdb_stub.h"

#include <array>

#include <nlohmann/json.hpp>
#include <sys/socket.h>

#include "hypervisor/gdb_remote.h"

namespace outguard::hypervisor {

namespace {

using Json = nlohmann::json;
using std::chrono::milliseconds;

constexpr milliseconds kWait{1000};
constexpr milliseconds kMendWait{3000}; ///< for a stub that is asked to let go
constexpr const char *kOurs = "outguard-gdb";
constexpr const char *kQemusOwn = "gdb"; ///< of -gdb, -s and HMP gdbserver, unless named otherwise

enum class Found { None, Ours, OursUnused, Others };

/// Which stub the list of character devices tells of. One that an administrator opened on a
/// character device with a name of its own cannot be told from other uses.
Result<Found> find_stub(QmpClient &qmp) {
  const auto reply = qmp.execute("query-chardev", "{}", kWait);
  if (!reply) {
    return tl::unexpected(reply.error());
  }
  const Json devices = Json::parse(*reply, nullptr, false);
  if (!devices.is_array()) {
    return fail(ErrorCode::InvalidInput, "query-chardev: not the answer that QMP documents");
  }
  Found found = Found::None;
  for (const Json &device : devices) {
    const Json label = device.is_object() ? device.value("label", Json()) : Json();
    if (label == Json(kQemusOwn)) {
      return Found::Others;
    }
    if (label == Json(kOurs)) {
      found =
          device.value("frontend-open", Json()) == Json(false) ? Found::OursUnused : Found::Ours;
    }
  }
  return found;
}

void remove_device(QmpClient &qmp) {
  (void)qmp.execute("chardev-remove", Json{{"id", kOurs}}.dump(), kWait);
}

/// QEMU's end of a socket pair, as the character device of a new stub.
Result<Fd> begin(QmpClient &qmp) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0) {
    return fail_errno("socketpair");
  }
  Fd own(ends[0]);
  const Fd theirs(ends[1]);
  auto done = qmp.execute("getfd", Json{{"fdname", kOurs}}.dump(), kWait, theirs.get());
  if (!done) {
    return tl::unexpected(done.error());
  }
  const Json address{{"type", "fd"}, {"data", {{"str", kOurs}}}};
  const Json backend{{"type", "socket"}, {"data", {{"addr", address}, {"server", false}}}};
  done = qmp.execute("chardev-add", Json{{"id", kOurs}, {"backend", backend}}.dump(), kWait);
  if (!done) {
    (void)qmp.execute("closefd", Json{{"fdname", kOurs}}.dump(), kWait);
    return tl::unexpected(done.error());
  }
  done = qmp.human(std::string("gdbserver chardev:") + kOurs, kWait);
  if (!done || done->find("Could not") != std::string::npos) {
    remove_device(qmp);
    return done ? fail(ErrorCode::Unsupported, "QEMU could not open its debugger stub")
                : tl::unexpected(done.error());
  }
  return own;
}

} // namespace

Result<Fd> open_gdb_stub(QmpClient &qmp) {
  const auto found = find_stub(qmp);
  if (!found) {
    return tl::unexpected(found.error());
  }
  if (*found == Found::Others) {
    return fail(ErrorCode::Refused,
                "a debugger stub is open already; it may be an administrator's");
  }
  if (*found != Found::None) {
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
  return begin(qmp);
}

Result<void> close_gdb_stub(QmpClient &qmp) {
  const auto closed = qmp.human("gdbserver none", kWait);
  return closed ? Result<void>() : tl::unexpected(closed.error());
}

Result<void> mend_gdb_stub(QmpClient &qmp) {
  const auto found = find_stub(qmp);
  if (!found) {
    return tl::unexpected(found.error());
  }
  if (*found == Found::OursUnused) {
    remove_device(qmp);
  }
  if (*found != Found::Ours) {
    return {};
  }
  if (auto closed = close_gdb_stub(qmp); !closed) {
    return closed;
  }
  auto again = begin(qmp);
  if (!again) {
    return tl::unexpected(again.error());
  }
  GdbRemote remote(std::move(*again));
  const auto deadline = monotonic_now() + kMendWait;
  auto let_go = remote.settle(deadline); // which takes all breakpoints away
  if (let_go) {
    let_go = remote.detach(deadline);
  }
  const auto closed = close_gdb_stub(qmp);
  return let_go ? closed : let_go;
}

} // namespace outguard::hypervisor
