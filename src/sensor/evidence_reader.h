#pragma once
// Reads what an archive of evidence is made of: descriptors and environment of a process, the files
// that it runs code of, its executable's bytes, the last packets. What takes long is done a slice
// at a time between the packets, in the order in which it was asked for; the answer comes when all
// is there. Writes nowhere but into the memfd that came with a request. One thread; owns neither
// guest nor taps.

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "facts/messages.h"
#include "guest/linux/linux_guest.h"
#include "sensor/guest_view.h"
#include "sensor/output_memory.h"
#include "sensor/taps.h"

namespace outguard::sensor {

class EvidenceReader {
public:
  /// Sends an answer to request `id`.
  using Send = std::function<void(std::uint32_t id, Report)>;
  EvidenceReader(GuestView &view, const Taps &taps, Send send)
      : view_(view), taps_(taps), send_(std::move(send)) {}

  void answer(std::uint32_t id, const DescribeGuest &request);
  void answer(std::uint32_t id, const ListOpenFiles &request);
  void answer(std::uint32_t id, const ReadEnvironment &request);
  void answer(std::uint32_t id, const HashLibraries &request);
  void answer(std::uint32_t id, const CopyExecutable &request, const std::vector<Fd> &fds);
  void answer(std::uint32_t id, const CopyPackets &request, const std::vector<Fd> &fds);

  [[nodiscard]] bool has_work() const { return !queue_.empty(); }
  /// At most one slice, a few milliseconds.
  void work();
  /// The guest is about to be another one: what is not done fails.
  void forget();

private:
  struct Libraries {
    std::vector<guest::CodeFound> files; ///< the last one is next
    std::optional<guest::FileHasher> hashing;
    std::vector<LibrarySeen> done;
    Completeness completeness;
    std::uint64_t left = kMostHashed; ///< bytes that may still be read for it
  };
  struct Copy {
    OutputMemory out;
    guest::FileHasher hasher;
  };
  struct Job {
    std::uint32_t id = 0;
    std::unique_ptr<Libraries> libraries; ///< else a copy
    std::unique_ptr<Copy> copy;
  };
  /// Of all libraries of one process together: a browser's are 300 MiB.
  static constexpr std::uint64_t kMostHashed = std::uint64_t{512} << 20;
  static constexpr std::size_t kMostJobs = 8;

  [[nodiscard]] guest::LinuxGuest *guest_for(std::uint32_t id);
  void fail(std::uint32_t id, const char *what, guest::Fault why);
  [[nodiscard]] bool is_full(std::uint32_t id);
  void work_on(Job &job, guest::LinuxGuest &guest, bool &done);
  void finish(const Libraries &libraries, std::uint32_t id);

  GuestView &view_;
  const Taps &taps_;
  Send send_;
  std::deque<Job> queue_;
};

} // namespace outguard::sensor
