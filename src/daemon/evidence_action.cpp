#include "daemon/evidence_action.h"

#include <filesystem>

#include <fmt/format.h>

#include "evidence/archive_file.h"
#include "evidence/evidence_collector.h"

namespace outguard::daemon {

namespace {

constexpr std::size_t kMostWords = 1500; ///< of a reason: it is a line of the journal

store::EvidenceSubject subject_of(const hypervisor::VmFound &vm, const ActionWanted &wanted) {
  store::EvidenceSubject subject;
  subject.vm = GuestText(vm.name.empty() ? vm.key() : vm.name);
  subject.vm_key = vm.key();
  subject.source = "live";
  subject.process = wanted.process.value_or(ProcessIdentity());
  subject.action = wanted.id;
  subject.actor = wanted.actor;
  subject.why = wanted.why;
  return subject;
}

std::string path_of(const store::EvidenceSubject &subject, const EvidenceConfig &config) {
  return (std::filesystem::path(config.folder) / evidence::archive_name(subject)).string();
}

ResponseDone failed(const Error &error) {
  const bool gone = error.code == ErrorCode::NotFound;
  return {ResponseAction::Evidence, gone ? ResponseStatus::NotPossible : ResponseStatus::Failed,
          error.message, 0};
}

} // namespace

ResponseDone act_evidence(launch::SensorProcess &sensor, const hypervisor::VmFound &vm,
                          const ActionWanted &wanted, const EvidenceConfig &config, bool dry) {
  if (auto ready = evidence::prepare_folder(config.folder, config.most_archives); !ready) {
    return failed(ready.error());
  }
  if (dry) {
    return {ResponseAction::Evidence, ResponseStatus::DryRun, {}, 0};
  }
  const auto subject = subject_of(vm, wanted);
  evidence::Limits limits;
  limits.most_bytes = config.most_bytes;
  const auto filed = evidence::collect(sensor, subject, path_of(subject, config), limits);
  return filed ? ResponseDone{ResponseAction::Evidence, ResponseStatus::Done,
                              evidence::words_of(*filed).substr(0, kMostWords), 0}
               : failed(filed.error());
}

bool has_evidence(const hypervisor::VmFound &vm, const ActionWanted &wanted,
                  const EvidenceConfig &config) {
  std::error_code ignored;
  return !wanted.id.empty() &&
         std::filesystem::exists(path_of(subject_of(vm, wanted), config), ignored);
}

} // namespace outguard::daemon
