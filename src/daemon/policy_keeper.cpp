#include "daemon/policy_keeper.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/settling.h"
#include "facts/guest_text.h"
#include "policy/policy_wire.h"

namespace outguard::daemon {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kMoving{200}; ///< between looks at files that are being written
constexpr milliseconds kIdle{2000};  ///< between looks where nothing happened

/// Read, and its own tests pass.
Result<policy::PolicyFile> read_good(const std::string &path) {
  auto file = policy::read_policy(path);
  if (!file) {
    return file;
  }
  if (const auto failures = policy::failed_tests(*file); !failures.empty()) {
    return fail(ErrorCode::InvalidInput, "a test in the file fails: " + failures.front());
  }
  return file;
}

PolicyInForce in_force(const policy::PolicyFile &file) {
  const auto stem = std::filesystem::path(file.path).stem().string();
  return {GuestText(stem).printable(), policy::encode(file.policy)};
}

} // namespace

PolicyKeeper::PolicyKeeper(std::vector<std::string> places)
    : places_(std::move(places)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

PolicyKeeper::~PolicyKeeper() {
  if (thread_.joinable()) {
    thread_.request_stop();
    static_cast<void>(::eventfd_write(wake_.get(), 1));
  }
}

Result<void> PolicyKeeper::start() {
  if (places_.empty()) {
    return {};
  }
  const auto seen = look();
  if (auto problem = read(); !problem.empty()) {
    return fail(ErrorCode::InvalidInput, std::move(problem));
  }
  take({});
  thread_ = std::jthread([this, seen](const std::stop_token &stop) { watch(stop, seen); });
  return {};
}

void PolicyKeeper::reload() {
  if (!places_.empty()) {
    wanted_ = true;
    static_cast<void>(::eventfd_write(wake_.get(), 1));
  }
}

std::vector<std::string> PolicyKeeper::folders() const {
  std::vector<std::string> all;
  for (const auto &place : places_) {
    const std::filesystem::path path(place);
    std::error_code ignored;
    all.push_back(std::filesystem::is_directory(path, ignored) ? place
                                                               : path.parent_path().string());
  }
  return all;
}

std::uint64_t PolicyKeeper::look() const {
  std::vector<std::string> files;
  for (const auto &place : places_) {
    auto inside = policy::policy_paths(place);
    if (inside) {
      files.insert(files.end(), inside->begin(), inside->end());
    }
  }
  return signature_of(files);
}

void PolicyKeeper::watch(const std::stop_token &stop, std::uint64_t seen) {
  Settling settling(seen);
  while (!stop.stop_requested()) {
    watch_.watch(folders());
    const bool changed = settling.look(look(), monotonic_now());
    if (wanted_.exchange(false) || changed) {
      take(read());
    }
    watch_.wait(wake_.get(), settling.is_moving() ? kMoving : kIdle);
    std::this_thread::sleep_for(milliseconds(20));
  }
}

/// File by file: one that is bad keeps what it was, and holds up no other.
std::string PolicyKeeper::read() {
  std::string problem;
  const auto note = [&problem](const std::string &what) {
    problem += (problem.empty() ? "" : "; ") + what;
  };
  std::map<std::string, policy::PolicyFile> next;
  for (const auto &place : places_) {
    const auto paths = policy::policy_paths(place);
    if (!paths) {
      note(paths.error().message);
      for (const auto &[path, file] : files_) { // a folder that cannot be read now
        if (path.starts_with(place)) {
          next.emplace(path, file);
        }
      }
      continue;
    }
    for (const auto &path : *paths) {
      auto file = read_good(path);
      const auto good = files_.find(path);
      if (file) {
        next.insert_or_assign(path, std::move(*file));
      } else {
        note(file.error().message);
        if (good != files_.end()) {
          next.insert_or_assign(path, good->second);
        }
      }
    }
  }
  std::vector<policy::PolicyFile> all;
  std::transform(next.begin(), next.end(), std::back_inserter(all),
                 [](const auto &one) { return one.second; });
  if (const auto twice = policy::overlap(all); !twice.empty()) {
    note(twice);
    return problem; // whose is which cannot be told: all stays as it was
  }
  files_ = std::move(next);
  return problem;
}

void PolicyKeeper::take(const std::string &problem) {
  std::map<std::string, std::shared_ptr<const PolicyInForce>, std::less<>> by_vm;
  for (const auto &[path, file] : files_) {
    const auto one = std::make_shared<const PolicyInForce>(in_force(file));
    for (const auto &vm : file.vms) {
      by_vm[vm] = one;
    }
  }
  const std::lock_guard lock(mutex_);
  const bool same =
      std::equal(by_vm.begin(), by_vm.end(), by_vm_.begin(), by_vm_.end(),
                 [](const auto &a, const auto &b) {
                   return a.first == b.first && a.second->name == b.second->name &&
                          a.second->bytes == b.second->bytes;
                 });
  if (!same) {
    by_vm_ = std::move(by_vm);
    status_.since = wall_now();
    ++version_;
    log::info(fmt::format("policies in force: {} file{}", files_.size(),
                          files_.size() == 1 ? "" : "s"));
  }
  if (!problem.empty() && problem != status_.problem) {
    log::error("policies: what was in force stays: " + problem);
  }
  status_.problem = problem;
  status_.files = files_.size();
  status_.read = wall_now();
}

std::shared_ptr<const PolicyInForce> PolicyKeeper::policy_for(std::string_view name,
                                                              std::string_view uuid) const {
  const std::lock_guard lock(mutex_);
  for (const auto vm : {name, uuid, std::string_view(policy::kEveryOther)}) {
    if (const auto found = by_vm_.find(vm); found != by_vm_.end() && !vm.empty()) {
      return found->second;
    }
  }
  return nullptr;
}

api::PolicyStatus PolicyKeeper::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

} // namespace outguard::daemon
