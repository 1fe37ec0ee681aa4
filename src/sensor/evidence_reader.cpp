#include "sensor/evidence_reader.h"

#include <algorithm>

#include "sensor/row_sender.h"

namespace outguard::sensor {

guest::LinuxGuest *EvidenceReader::guest_for(std::uint32_t id) {
  guest::LinuxGuest *guest = view_.guest();
  if (guest == nullptr) {
    send_(id, Failed{std::string("the guest is ") + to_string(view_.state().state),
                     ErrorCode::Unreachable});
  }
  return guest;
}

void EvidenceReader::fail(std::uint32_t id, const char *what, guest::Fault why) {
  const bool absent = why.code == guest::FaultCode::NotFound;
  send_(id, Failed{std::string(what) + " cannot be read: " +
                       (absent ? "the process is gone, or this kernel's types do not say"
                               : guest::to_string(why.code)),
                   absent ? ErrorCode::NotFound : ErrorCode::Unreachable});
}

bool EvidenceReader::is_full(std::uint32_t id) {
  if (queue_.size() == kMostJobs) {
    send_(id, Failed{"too many collections at a time", ErrorCode::LimitReached});
  }
  return queue_.size() == kMostJobs;
}

// ---- At once

void EvidenceReader::answer(std::uint32_t id, const DescribeGuest &) {
  send_(id, view_.state());
}

void EvidenceReader::answer(std::uint32_t id, const ListOpenFiles &request) {
  guest::LinuxGuest *guest = guest_for(id);
  if (guest == nullptr) {
    return;
  }
  auto seen = guest->open_files(request.process);
  if (!seen) {
    return fail(id, "what it has open", seen.error());
  }
  send_in_parts<OpenFileRows>(std::move(seen->files), describe(seen->completeness),
                              [&](OpenFileRows part) { send_(id, std::move(part)); });
}

void EvidenceReader::answer(std::uint32_t id, const ReadEnvironment &request) {
  guest::LinuxGuest *guest = guest_for(id);
  if (guest == nullptr) {
    return;
  }
  auto found = guest->environment(request.process);
  if (!found) {
    return fail(id, "the environment", found.error());
  }
  send_(id, EnvironmentRead{std::move(found->words), found->cut});
}

void EvidenceReader::answer(std::uint32_t id, const CopyPackets &, const std::vector<Fd> &fds) {
  auto out = fds.size() == 1 ? OutputMemory::open(fds[0])
                             : outguard::fail(ErrorCode::InvalidInput, "needs one descriptor");
  if (!out) {
    return send_(id, Failed{"CopyPackets: " + out.error().message});
  }
  send_(id, taps_.copy_packets(out->bytes()));
}

// ---- In slices

void EvidenceReader::answer(std::uint32_t id, const HashLibraries &request) {
  guest::LinuxGuest *guest = guest_for(id);
  if (guest == nullptr || is_full(id)) {
    return;
  }
  auto found = guest->code_files(request.process);
  if (!found) {
    return fail(id, "what it runs code of", found.error());
  }
  auto libraries = std::make_unique<Libraries>();
  libraries->files = std::move(found->files);
  std::ranges::reverse(libraries->files);
  libraries->completeness = describe(found->completeness);
  queue_.push_back({id, std::move(libraries), nullptr});
}

void EvidenceReader::answer(std::uint32_t id, const CopyExecutable &request,
                            const std::vector<Fd> &fds) {
  guest::LinuxGuest *guest = guest_for(id);
  if (guest == nullptr || is_full(id)) {
    return;
  }
  auto out = fds.size() == 1 ? OutputMemory::open(fds[0])
                             : outguard::fail(ErrorCode::InvalidInput, "needs one descriptor");
  if (!out) {
    return send_(id, Failed{"CopyExecutable: " + out.error().message});
  }
  const auto file = guest->executable(request.process);
  if (!file) {
    return fail(id, "the executable", file.error());
  }
  auto hasher = guest->hasher(*file, out->bytes().size(), out->bytes());
  queue_.push_back({id, nullptr, std::make_unique<Copy>(Copy{std::move(*out), std::move(hasher)})});
}

void EvidenceReader::finish(const Libraries &libraries, std::uint32_t id) {
  send_in_parts<LibraryRows>(libraries.done, libraries.completeness,
                             [&](LibraryRows part) { send_(id, std::move(part)); });
}

void EvidenceReader::work_on(Job &job, guest::LinuxGuest &guest, bool &done) {
  if (job.copy) {
    if (guest.step(job.copy->hasher)) {
      return;
    }
    const auto &hasher = job.copy->hasher;
    const bool is_cut = hasher.missing().size() == guest::FileHasher::kMostMissing;
    send_(job.id, ExecutableCopied{hasher.result(), hasher.missing(), is_cut});
    done = true;
    return;
  }
  Libraries &all = *job.libraries;
  if (all.hashing && guest.step(*all.hashing)) {
    return;
  }
  if (all.hashing) {
    all.done.back().hash = all.hashing->result();
    const auto read = all.done.back().hash.file_bytes;
    all.left -=
        all.done.back().hash.status == FileHash::Status::TooLarge ? 0 : std::min(all.left, read);
    all.hashing.reset();
  }
  if (all.files.empty()) {
    finish(all, job.id);
    done = true;
    return;
  }
  const auto next = std::move(all.files.back());
  all.files.pop_back();
  all.done.push_back({next.map.path, next.map.deleted, next.map.inode, {}});
  if (next.file) {
    all.hashing.emplace(guest.hasher(*next.file, all.left));
  }
}

void EvidenceReader::work() {
  guest::LinuxGuest *guest = view_.guest();
  if (queue_.empty()) {
    return;
  }
  if (guest == nullptr) {
    return forget();
  }
  bool done = false;
  work_on(queue_.front(), *guest, done);
  if (done) {
    queue_.pop_front();
  }
}

void EvidenceReader::forget() {
  for (const Job &job : queue_) {
    send_(job.id, Failed{"the guest is another one now", ErrorCode::Unreachable});
  }
  queue_.clear();
}

} // namespace outguard::sensor
