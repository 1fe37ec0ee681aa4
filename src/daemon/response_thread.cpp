#include "daemon/response_thread.h"

#include <algorithm>

#include "base/clock.h"
#include "daemon/action_rules.h"
#include "daemon/finding_actions.h"

namespace outguard::daemon {

namespace {

constexpr std::size_t kMostWaiting = 256; ///< findings, for the desk; and for what became of them
constexpr std::size_t kMostHashes = 256;  ///< of executables, the latest
constexpr const char *kEnding = "the guard of this VM is ending";
constexpr std::chrono::milliseconds kHashWait{500}; ///< for a hash, after the responses are done
constexpr std::chrono::seconds kProofWait{12};      ///< what is pending then is told as that
constexpr std::chrono::seconds kEndWait{2};
constexpr const char *kPrevented = "held at the tap and refused: the packet never left";

} // namespace

ResponseThread::ResponseThread(std::string vm, const ResponseParts &parts)
    : vm_(std::move(vm)), parts_(parts), thread_([this] { respond_to_findings(); }) {}

ResponseThread::~ResponseThread() {
  end();
  thread_.join();
}

void ResponseThread::end() {
  {
    const std::lock_guard lock(inbox_->mutex);
    ending_ = true;
  }
  inbox_->changed.notify_all();
}

void ResponseThread::forget_hashes() {
  const std::lock_guard lock(inbox_->mutex);
  hashes_.clear();
}

void ResponseThread::take_hash(const ExecutableHashed &hashed) {
  {
    const std::lock_guard lock(inbox_->mutex);
    if (hashes_.size() == kMostHashes) {
      hashes_.pop_front();
    }
    hashes_.push_back(hashed);
  }
  inbox_->changed.notify_all();
}

namespace {

/// Of a finding that nobody acted on.
std::vector<ResponseDone> unanswered(const Finding &finding, const std::string &why) {
  std::vector<ResponseDone> responses;
  for (const auto &wanted : finding.wanted) {
    const bool skipped = !wanted.withheld.empty();
    responses.push_back({wanted.action, skipped ? ResponseStatus::Skipped : ResponseStatus::Failed,
                         skipped ? wanted.withheld : why, 0});
  }
  return responses;
}

} // namespace

void ResponseThread::answer(Finding finding) {
  const char *why = kEnding;
  {
    const std::lock_guard lock(inbox_->mutex);
    if (!ending_ && findings_.size() < kMostWaiting) {
      findings_.push_back(std::move(finding));
      inbox_->changed.notify_all();
      return;
    }
    why = ending_ ? kEnding : "too many alerts of this VM wait for their responses";
  }
  // The alert is never lost, only its responses.
  parts_.record(finding, unanswered(finding, why));
}

void ResponseThread::respond_to_findings() {
  while (true) {
    record_answered(false);
    std::unique_lock lock(inbox_->mutex);
    auto next = monotonic_now() + kProofWait;
    for (const auto &answer : answers_) {
      next = std::min(next, answer.due);
    }
    inbox_->changed.wait_until(lock, next, [this] {
      return ending_ || !findings_.empty() || !inbox_->told.empty() ||
             std::any_of(answers_.begin(), answers_.end(),
                         [this](const Answer &answer) { return is_ready(answer); });
    });
    const auto told = std::exchange(inbox_->told, {});
    auto findings = std::exchange(findings_, {});
    const bool late = ending_;
    lock.unlock();
    take(told);
    for (auto &finding : findings) {
      if (late) {
        parts_.record(finding, unanswered(finding, kEnding));
      } else {
        answers_.push_back(respond(std::move(finding)));
        record_answered(false);
      }
    }
    if (late) {
      return await_the_rest();
    }
  }
}

/// The sensor is gone by now: what could be proved is, in a moment.
void ResponseThread::await_the_rest() {
  const auto end = monotonic_now() + kEndWait;
  const auto is_open = [](const Answer &answer) { return !answer.open.empty(); };
  while (std::any_of(answers_.begin(), answers_.end(), is_open) && monotonic_now() < end) {
    std::unique_lock lock(inbox_->mutex);
    inbox_->changed.wait_until(lock, end, [this] { return !inbox_->told.empty(); });
    const auto told = std::exchange(inbox_->told, {});
    lock.unlock();
    take(told);
  }
  record_answered(true);
}

// ---- Answers
// ------------------------------------------------------------------------------------------

ResponseThread::Answer ResponseThread::respond(Finding finding) {
  Answer answer;
  answer.finding = std::make_shared<Finding>(std::move(finding));
  const auto &match = answer.finding->match;
  const bool dry = answer.finding->mode == ResponseMode::Monitor;
  std::vector<ActionAsked> asked;
  for (const auto &wanted : in_order(answer.finding->wanted)) {
    const auto say = [&](ResponseStatus status, const std::string &why) {
      answer.done.push_back({wanted.action, status, why, 0});
    };
    if (match.prevented && wanted.action == ResponseAction::BlockFlow) {
      say(ResponseStatus::Blocked, kPrevented); // also of a flow that is not accused
    } else if (!wanted.withheld.empty()) {
      say(ResponseStatus::Skipped, wanted.withheld);
    } else if (parts_.desk == nullptr) {
      say(ResponseStatus::Failed, parts_.no_desk);
    } else {
      auto actions = actions_of(answer.finding, wanted, vm_, parts_.always_allowed);
      if (actions.empty()) {
        say(ResponseStatus::NotPossible, "no process is known to hold the socket");
      }
      const auto rule = parts_.approvals[static_cast<std::size_t>(wanted.action)];
      for (auto &action : actions) {
        asked.push_back({std::move(action), rule, dry});
      }
    }
  }
  std::vector<ResponseAction> kinds;
  std::transform(asked.begin(), asked.end(), std::back_inserter(kinds),
                 [](const auto &one) { return one.wanted.action; });
  if (!asked.empty()) {
    const auto told = [inbox = inbox_](const ActionRecord &record) {
      const std::lock_guard lock(inbox->mutex);
      inbox->told.push_back(record);
      inbox->changed.notify_all();
    };
    const auto answers = parts_.desk->ask_together(std::move(asked), told);
    for (std::size_t i = 0; i < answers.size(); ++i) {
      answer.done.push_back(answers[i] ? done_of(*answers[i], *answer.finding)
                                       : ResponseDone{kinds[i], ResponseStatus::Failed,
                                                      answers[i].error().message, 0});
      if (answers[i] && is_moving(answers[i]->state)) {
        answer.open.insert(answers[i]->id);
      }
    }
  }
  answer.due = monotonic_now() + (!answer.open.empty() ? kProofWait : kHashWait);
  return answer;
}

void ResponseThread::take(const std::vector<ActionRecord> &told) {
  for (const auto &record : told) {
    for (auto &answer : answers_) {
      if (!answer.open.contains(record.id)) {
        continue;
      }
      const auto done =
          std::find_if(answer.done.begin(), answer.done.end(),
                       [&](const ResponseDone &one) { return one.action_id == record.id; });
      *done = done_of(record, *answer.finding);
      if (!is_moving(record.state) && answer.open.erase(record.id) > 0 && answer.open.empty()) {
        answer.due = monotonic_now() + kHashWait;
      }
    }
  }
}

const FileHash *ResponseThread::hash_for(const Finding &finding) const {
  const auto &match = finding.match;
  if (match.attribution.processes.empty()) {
    return nullptr;
  }
  const auto found = std::find_if(hashes_.begin(), hashes_.end(), [&](const auto &hashed) {
    return hashed.flow_id == match.flow.flow_id &&
           hashed.process == match.attribution.processes.front().identity;
  });
  return found == hashes_.end() ? nullptr : &found->hash;
}

bool ResponseThread::is_ready(const Answer &answer) const {
  const auto &named = answer.finding->match.attribution.processes;
  const bool has_hash = named.empty() || named.front().kernel_thread || hash_for(*answer.finding);
  return answer.open.empty() && has_hash;
}

void ResponseThread::record_answered(bool all) {
  for (auto at = answers_.begin(); at != answers_.end();) {
    Finding &finding = *at->finding;
    {
      const std::lock_guard lock(inbox_->mutex);
      const bool late = all || answers_.size() > kMostWaiting || monotonic_now() >= at->due;
      if (!late && !is_ready(*at)) {
        ++at;
        continue;
      }
      const FileHash *hash = hash_for(finding);
      if (hash != nullptr && !finding.match.attribution.processes.front().kernel_thread) {
        finding.executable = *hash;
      }
    }
    parts_.record(finding, at->done);
    at = answers_.erase(at);
  }
}

} // namespace outguard::daemon
