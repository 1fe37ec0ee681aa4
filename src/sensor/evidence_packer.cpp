#include "sensor/evidence_packer.h"

#include <chrono>
#include <optional>

#include "facts/messages.h"
#include "sensor/archive_writer.h"

namespace outguard::sensor {

namespace {

constexpr std::chrono::milliseconds kSendWait{5000};
constexpr std::chrono::minutes kIdle{10}; ///< one receive; the other side closes when it is done

class Packer {
public:
  [[nodiscard]] Report answer(const OpenArchive &request, std::vector<Fd> &fds) {
    if (fds.size() != 1 || writer_) {
      return Failed{"OpenArchive needs one descriptor, once"};
    }
    auto opened = ArchiveWriter::open(fds[0].get(), request.folder, request.most_bytes);
    if (!opened) {
      return failed(opened.error());
    }
    file_ = std::move(fds[0]);
    writer_.emplace(std::move(*opened));
    return Done{};
  }

  [[nodiscard]] Report answer(const PackPart &request, std::vector<Fd> &fds) {
    if (fds.size() != 1 || !writer_) {
      return Failed{"PackPart needs one descriptor, and an archive"};
    }
    auto sha256 = writer_->add(request.name, fds[0], request.bytes, request.read_ns);
    return sha256 ? Report(PartPacked{std::move(*sha256)}) : failed(sha256.error());
  }

  [[nodiscard]] Report answer(const CloseArchive &, std::vector<Fd> &) {
    if (!writer_) {
      return Failed{"no archive is open"};
    }
    const auto finished = writer_->finish();
    writer_.reset();
    return finished ? Report(Done{}) : failed(finished.error());
  }

  template <class Other> [[nodiscard]] Report answer(const Other &, std::vector<Fd> &) {
    return Failed{"this process packs an archive and does nothing else"};
  }

private:
  static Report failed(const Error &error) { return Failed{error.message, error.code}; }

  Fd file_;
  std::optional<ArchiveWriter> writer_;
};

} // namespace

void run_evidence_packer(MessageSocket control) {
  Packer packer;
  while (true) {
    auto message = control.receive(kIdle);
    if (!message || !*message) {
      return;
    }
    const auto request = decode_request((*message)->bytes);
    if (!request) {
      return; // our own side speaks another version
    }
    auto &fds = (*message)->fds;
    const Report report =
        std::visit([&](const auto &body) { return packer.answer(body, fds); }, request->body);
    if (!control.send(encode(ReportEnvelope{request->id, report}), {}, kSendWait)) {
      return;
    }
  }
}

} // namespace outguard::sensor
