#pragma once
// QEMU's debugger stub over a socket pair: no path, no port. Opened and closed through QMP; whoever
// holds the QMP seat is the only one to do so. What is said over the connection: gdb_remote.h.
// Stateless; the connection's owner detaches before it closes.

#include <string_view>

#include "base/fd.h"
#include "base/result.h"
#include "hypervisor/qmp_client.h"

namespace outguard::hypervisor {

/// The stub stops the VM, then finds `first_words`: so the VM stands until one of them, or one said
/// later, lets it run. Refused: it does not run (an administrator's pause, a migration), or a stub
/// that is not ours is open. One of ours, left by a crash, is mended first.
[[nodiscard]] Result<Fd> open_gdb_stub(QmpClient &qmp, std::string_view first_words);

/// After it detached. The VM runs then, or stands by somebody else's order.
[[nodiscard]] Result<void> close_gdb_stub(QmpClient &qmp);

/// If a stub of ours is there, or was when all of us died at once, whatever it was left in: its
/// breakpoints go, the VM runs, the stub is closed. A connection that ends without detaching leaves
/// the VM standing, with breakpoints.
[[nodiscard]] Result<void> mend_gdb_stub(QmpClient &qmp);

} // namespace outguard::hypervisor
