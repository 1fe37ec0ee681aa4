#include "launch/evidence_calls.h"

#include <algorithm>
#include <iterator>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace outguard::launch {

namespace {

constexpr std::chrono::milliseconds kWait{20'000};
constexpr std::chrono::milliseconds kPackWait{60'000}; ///< of one part
constexpr std::size_t kMostRows = 100'000;

Error wrong_answer(const char *whose) {
  return {ErrorCode::InvalidInput, std::string(whose) + " gave an answer to another question"};
}

template <class Answer>
Result<Answer> call(SensorProcess &process, Request request, std::span<const int> fds,
                    std::chrono::milliseconds wait, const char *whose = "the sensor") {
  auto report = process.call(std::move(request), fds, wait);
  if (!report) {
    return tl::unexpected(report.error());
  }
  if (auto *answer = std::get_if<Answer>(&*report)) {
    return std::move(*answer);
  }
  return tl::unexpected(wrong_answer(whose));
}

template <class Rows, class Row>
Result<Table<Row>> collect(SensorProcess &sensor, Request request, std::chrono::milliseconds wait) {
  Table<Row> table;
  const auto take = [&](Report report) -> Result<bool> {
    auto *part = std::get_if<Rows>(&report);
    if (part == nullptr || table.rows.size() + part->rows.size() > kMostRows) {
      return tl::unexpected(wrong_answer("the sensor"));
    }
    std::move(part->rows.begin(), part->rows.end(), std::back_inserter(table.rows));
    table.completeness = std::move(part->completeness);
    return part->last;
  };
  return sensor.call_for_many(std::move(request), wait, take).map([&] { return std::move(table); });
}

constexpr const char *kPacker = "the packer";

} // namespace

Result<GuestStateSeen> describe_guest(SensorProcess &sensor) {
  return call<GuestStateSeen>(sensor, DescribeGuest{}, {}, kWait);
}

Result<Table<OpenFileSeen>> list_open_files(SensorProcess &sensor, const ProcessIdentity &process) {
  return collect<OpenFileRows, OpenFileSeen>(sensor, ListOpenFiles{process}, kWait);
}

Result<EnvironmentRead> read_environment(SensorProcess &sensor, const ProcessIdentity &process) {
  return call<EnvironmentRead>(sensor, ReadEnvironment{process}, {}, kWait);
}

Result<Table<LibrarySeen>> hash_libraries(SensorProcess &sensor, const ProcessIdentity &process,
                                          std::chrono::milliseconds wait) {
  return collect<LibraryRows, LibrarySeen>(sensor, HashLibraries{process}, wait);
}

Result<Fd> make_memory(std::uint64_t bytes) {
  Fd memory(::memfd_create("outguard-evidence", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory || ::ftruncate(memory.get(), static_cast<off_t>(bytes)) != 0 ||
      ::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return fail_errno("memory for evidence");
  }
  return memory;
}

Result<ExecutableCopied> copy_executable(SensorProcess &sensor, const ProcessIdentity &process,
                                         const Fd &into, std::chrono::milliseconds wait) {
  const int raw = into.get();
  return call<ExecutableCopied>(sensor, CopyExecutable{process}, {&raw, 1}, wait);
}

Result<PacketsCopied> copy_packets(SensorProcess &sensor, const Fd &into) {
  const int raw = into.get();
  return call<PacketsCopied>(sensor, CopyPackets{}, {&raw, 1}, kWait);
}

Result<EvidencePacker> EvidencePacker::start(const Fd &file, const std::string &folder,
                                             std::uint64_t most_bytes) {
  auto process = SensorProcess::start(SensorRole::PackEvidence);
  if (!process) {
    return tl::unexpected(process.error());
  }
  EvidencePacker packer(std::move(*process));
  const int raw = file.get();
  const auto opened =
      call<Done>(packer.process_, OpenArchive{folder, most_bytes}, {&raw, 1}, kWait, kPacker);
  if (!opened) {
    return tl::unexpected(opened.error());
  }
  return packer;
}

Result<std::string> EvidencePacker::add(const std::string &name, const Fd &part,
                                        std::uint64_t bytes, std::int64_t read_ns) {
  const int raw = part.get();
  auto packed =
      call<PartPacked>(process_, PackPart{name, bytes, read_ns}, {&raw, 1}, kPackWait, kPacker);
  if (!packed) {
    return tl::unexpected(packed.error());
  }
  const bool is_digest = packed->sha256.size() == 64 &&
                         packed->sha256.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!is_digest) {
    return tl::unexpected(wrong_answer(kPacker));
  }
  return std::move(packed->sha256);
}

Result<void> EvidencePacker::finish() {
  return call<Done>(process_, CloseArchive{}, {}, kPackWait, kPacker).map([](const Done &) {});
}

} // namespace outguard::launch
