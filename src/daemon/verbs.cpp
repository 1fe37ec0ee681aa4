#include "daemon/verbs.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/clock.h"
#include "daemon/finding_actions.h"
#include "facts/guest_text.h"
#include "respond/protections.h"

namespace outguard::daemon {

namespace {

constexpr std::chrono::milliseconds kSlice{100}; ///< how late a client's leaving may be noticed

std::string actor_of(const api::Peer &peer) {
  return fmt::format("uid {}{}", peer.uid, peer.uid == 0 ? " (root)" : "");
}

bool on_its_way(ActionState state) {
  return state == ActionState::Asked || state == ActionState::Approved ||
         state == ActionState::Acting || state == ActionState::Undoing;
}

/// Whether the parts of the request belong to its action.
Result<void> check_shape(const api::Act &act) {
  const auto invalid = [&](const char *why) {
    return fail(ErrorCode::InvalidInput, std::string(to_string(act.action)) + ": " + why);
  };
  const bool by_process =
      act.action == ResponseAction::Kill || act.action == ResponseAction::Suspend ||
      act.action == ResponseAction::Resume || act.action == ResponseAction::Evidence;
  if (by_process != (act.pid != 0)) {
    return invalid(by_process ? "of which process? `pid`" : "takes no pid");
  }
  if (act.tree && act.action != ResponseAction::Kill) {
    return invalid("takes no descendants");
  }
  const auto fits = [&](auto kind) {
    return act.rule && std::holds_alternative<decltype(kind)>(*act.rule);
  };
  bool good = !act.rule && act.ttl.count() == 0;
  switch (act.action) {
  case ResponseAction::BlockFlow:
    good = fits(FlowRule()) && act.ttl.count() > 0;
    break;
  case ResponseAction::BlockRemote:
    good = fits(RemoteRule()) && act.ttl.count() > 0;
    break;
  case ResponseAction::BlockPort:
    good = fits(PortRule()) && act.ttl.count() > 0;
    break;
  case ResponseAction::Isolate:
    good = fits(IsolationRule()) && act.ttl.count() > 0;
    break;
  case ResponseAction::Reset:
    good = fits(FlowRule()) && act.ttl.count() == 0;
    break;
  default:
    break;
  }
  return good ? Result<void>() : invalid("its rule or time to live is not one of this action");
}

std::string words_of(const ProcessSeen &process) {
  return fmt::format("pid {} {}{}", process.identity.pid, process.comm.printable(),
                     process.exe ? " " + process.exe->printable() : "");
}

} // namespace

Result<ActionRecord> Verbs::settled(Result<ActionRecord> record, std::chrono::milliseconds time,
                                    const std::stop_token &gone) const {
  const auto deadline = monotonic_now() + time;
  while (record && on_its_way(record->state) && !gone.stop_requested()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - monotonic_now());
    if (left.count() <= 0) {
      break;
    }
    record = parts_.desk->wait(record->id, std::min(left, kSlice));
  }
  return record;
}

Result<ActionRecord> Verbs::act(const api::Act &act, const std::string &actor,
                                const std::stop_token &gone) const {
  if (const auto good = check_shape(act); !good) {
    return tl::unexpected(good.error());
  }
  const auto vm = parts_.find_vm(act.vm);
  if (!vm) {
    return tl::unexpected(vm.error());
  }
  ActionWanted wanted{act.action, vm->key, {}, act.tree, act.rule, act.ttl, actor, act.why};
  if (act.pid != 0) {
    const auto process = vm->look_at(act.pid);
    if (!process) {
      return tl::unexpected(process.error());
    }
    wanted.process = process->identity;
  }
  if (gone.stop_requested()) { // nobody is told of what would begin now
    return fail(ErrorCode::Timeout, "who asked has left: nothing was begun");
  }
  if (act.action == ResponseAction::Release || act.action == ResponseAction::UnpauseVm) {
    return end_earlier(wanted, act, gone);
  }
  if (act.action == ResponseAction::Resume) { // stopped by somebody else: it goes on all the same
    auto ended = end_earlier(wanted, act, gone);
    if (ended || ended.error().code != ErrorCode::NotFound) {
      return ended;
    }
  }
  if (wanted.rule && std::holds_alternative<IsolationRule>(*wanted.rule)) {
    auto &rule = std::get<IsolationRule>(*wanted.rule);
    rule = isolation_of(std::move(rule), parts_.always_allowed);
    if (rule.allowed.size() > kMostAllowed) {
      return fail(ErrorCode::InvalidInput,
                  fmt::format("an isolation has at most {} exceptions, those of "
                              "protected_networks among them",
                              kMostAllowed));
    }
  }
  return settled(parts_.desk->ask(std::move(wanted), ApprovalRule::Auto, act.dry_run), act.wait,
                 gone);
}

Result<ActionRecord> Verbs::end_earlier(const ActionWanted &wanted, const api::Act &act,
                                        const std::stop_token &gone) const {
  const auto earlier = wanted.action == ResponseAction::Release     ? ResponseAction::Isolate
                       : wanted.action == ResponseAction::UnpauseVm ? ResponseAction::PauseVm
                                                                    : ResponseAction::Suspend;
  Result<ActionRecord> last =
      fail(ErrorCode::NotFound,
           std::string("no action of ours is in force that this would end: ") + to_string(earlier));
  for (const auto &record : parts_.desk->list()) {
    const bool in_force = record.state == ActionState::Done || record.state == ActionState::Acting;
    if (record.wanted.action != earlier || record.wanted.vm != wanted.vm ||
        record.wanted.process != wanted.process || !in_force ||
        record.status == ResponseStatus::DryRun) {
      continue;
    }
    last = act.dry_run ? Result<ActionRecord>(record)
                       : settled(parts_.desk->undo(record.id, wanted.actor), act.wait, gone);
    if (!last) {
      break;
    }
  }
  return last;
}

Result<api::AllowAnswer> Verbs::check(const api::CheckAllowed &check) const {
  if ((check.pid != 0) == check.remote.has_value()) {
    return fail(ErrorCode::InvalidInput, "either a pid or a remote");
  }
  const auto vm = parts_.find_vm(check.vm);
  if (!vm) {
    return tl::unexpected(vm.error());
  }
  ActionWanted wanted;
  api::AllowAnswer answer;
  if (check.remote) {
    wanted.action = ResponseAction::BlockRemote;
    wanted.rule = RemoteRule{*check.remote};
    answer.what = "remote " + check.remote->to_string();
  } else {
    const auto process = vm->look_at(check.pid);
    if (!process) {
      return tl::unexpected(process.error());
    }
    wanted.process = process->identity;
    answer.what = words_of(*process);
  }
  const auto allowed = vm->hands->allow(wanted);
  if (!allowed && allowed.error().code != ErrorCode::Refused) {
    return tl::unexpected(allowed.error());
  }
  answer.allowed = allowed.has_value();
  answer.reason = allowed ? "" : allowed.error().message;
  return answer;
}

Result<Protection> Verbs::allow(const api::AddAllowed &add, const std::string &actor) const {
  auto entry = parse_protection(add.what);
  if (!entry) {
    return entry;
  }
  if (!add.vm.empty()) {
    const auto vm = parts_.find_vm(add.vm);
    if (!vm) {
      return tl::unexpected(vm.error());
    }
    entry->vm = vm->key;
  }
  entry->actor = actor;
  entry->why = add.why;
  return parts_.desk->allow(std::move(*entry), add.ttl);
}

std::vector<Protection> Verbs::allowed() const {
  auto entries = parts_.desk->protections()->all();
  entries.insert(entries.end(), parts_.configured.begin(), parts_.configured.end());
  return entries;
}

std::string Verbs::answer(const api::Request &request, const api::Peer &peer,
                          const std::stop_token &gone) const {
  const auto say = [](const auto &result) {
    return result ? api::answer_line(*result) : api::refusal_line(result.error());
  };
  if (std::holds_alternative<api::AcceptLosses>(request)) {
    parts_.accept_losses();
    return api::done_line();
  }
  if (const auto *asked = std::get_if<api::CheckAllowed>(&request)) {
    return say(check(*asked));
  }
  if (parts_.desk == nullptr) {
    return api::refusal_line({ErrorCode::Unsupported, parts_.no_desk});
  }
  const auto actor = actor_of(peer);
  if (const auto *asked = std::get_if<api::Act>(&request)) {
    return say(act(*asked, actor, gone));
  }
  if (const auto *asked = std::get_if<api::AddAllowed>(&request)) {
    return say(allow(*asked, actor));
  }
  if (const auto *asked = std::get_if<api::RemoveAllowed>(&request)) {
    return say(parts_.desk->disallow(asked->id, actor));
  }
  if (std::holds_alternative<api::ListAllowed>(request)) {
    return api::answer_line(allowed());
  }
  if (const auto *asked = std::get_if<api::ListActions>(&request)) {
    api::ActionList list{parts_.desk->list(), 0};
    if (list.actions.size() > asked->most) {
      list.left_out = static_cast<std::int64_t>(list.actions.size() - asked->most);
      list.actions.resize(asked->most);
    }
    return api::answer_line(list);
  }
  if (const auto *asked = std::get_if<api::UndoAction>(&request)) {
    return say(settled(parts_.desk->undo(asked->id, actor), asked->wait, gone));
  }
  if (const auto *asked = std::get_if<api::ApproveAction>(&request)) {
    return say(
        settled(parts_.desk->approve(asked->id, asked->plan_hash, actor), asked->wait, gone));
  }
  if (const auto *asked = std::get_if<api::ShowAction>(&request)) {
    auto record = parts_.desk->find(asked->id);
    return record ? say(settled(std::move(*record), asked->wait, gone))
                  : api::refusal_line({ErrorCode::NotFound,
                                       "no action is called " + GuestText(asked->id).printable()});
  }
  return api::refusal_line({ErrorCode::Unsupported, "not a verb of actions"});
}

} // namespace outguard::daemon
