#pragma once
// Hands of a VM that is a folder: what is in force is a file there, made and removed in one system
// call, so that a process killed at any point leaves it done or not done. For the desk's tests.

#include <atomic>
#include <string>

#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "daemon/action_desk.h"
#include "store/sha256_text.h"

namespace outguard::daemon {

class FolderHands : public ActionHands {
public:
  explicit FolderHands(std::string folder) : folder_(std::move(folder)) {}

  Result<void> allow(const ActionWanted & /*wanted*/) override { return {}; }

  ResponseDone act(const ActionWanted &wanted, bool dry) override {
    if (dry) {
      return {wanted.action, ResponseStatus::DryRun, ""};
    }
    const Fd made(::open(path(wanted).c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600));
    if (!made) { // done twice
      const Fd twice(::open((path(wanted) + ".twice").c_str(), O_CREAT | O_CLOEXEC, 0600));
    }
    return {wanted.action, ResponseStatus::Done, ""};
  }

  Result<void> undo(const ActionWanted &wanted) override {
    return ::unlink(path(wanted).c_str()) == 0 || errno == ENOENT ? Result<void>()
                                                                  : fail_errno("unlink");
  }

  Result<bool> holds(const ActionWanted &wanted) override {
    return ::access(path(wanted).c_str(), F_OK) == 0;
  }

  [[nodiscard]] std::string path(const ActionWanted &wanted) const {
    auto target = wanted;
    target.ttl = {};
    return folder_ + "/" + store::plan_hash(target);
  }

private:
  const std::string folder_;
};

} // namespace outguard::daemon
