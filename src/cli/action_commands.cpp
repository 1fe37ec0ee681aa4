// kill, suspend, resume, block, isolate, release, pause, unpause; action list, show, undo, approve;
// allow add, remove, list, check. Each asks a running supervisor: this command itself can act on
// nothing.
#include <cstdio>

#include <fmt/format.h>
#include <unistd.h>

#include "api/answers.h"
#include "api/client.h"
#include "api/local_socket.h"
#include "api/requests.h"
#include "cli/action_words.h"
#include "cli/commands.h"
#include "cli/problems.h"
#include "facts/guest_text.h"

namespace outguard::cli {

namespace {

constexpr std::chrono::seconds kPatience{30};         ///< for an action to be over and proved
constexpr std::chrono::seconds kEvidencePatience{90}; ///< for an archive
constexpr std::chrono::seconds kAnswer{65}; ///< beyond that: the supervisor may look at the guest

/// The answer of the supervisor whose business it is. Complains itself where there is none.
tl::expected<std::string, Exit> ask_supervisor(const std::string &run_folder,
                                               const api::Request &request,
                                               std::chrono::milliseconds wait) {
  std::optional<std::string> answer;
  Error why{ErrorCode::Unreachable,
            "no supervisor is running that " + run_folder + " knows of: `outguard run` starts one"};
  for (const auto &path : api::sockets_in(run_folder)) {
    auto got = api::ask(path, api::request_line(request), wait + kAnswer);
    if (!got) {
      why = got.error().code == ErrorCode::NotFound || got.error().code == ErrorCode::Unreachable
                ? why
                : got.error();
      continue;
    }
    const auto refused = api::refusal_in(*got);
    const bool elsewhere = refused && refused->code == ErrorCode::NotFound;
    if (!answer || !elsewhere) {
      answer = std::move(*got);
    }
    if (!elsewhere) {
      break;
    }
  }
  if (answer) {
    return std::move(*answer);
  }
  complain(why.message);
  return tl::unexpected(Exit::DaemonUnreachable);
}

Exit refused_with(const Error &error) {
  complain(error.message);
  switch (error.code) {
  case ErrorCode::NotFound:
    return Exit::NotFound;
  case ErrorCode::Refused:
    return Exit::Refused;
  case ErrorCode::InvalidInput:
    return Exit::Usage;
  default:
    return Exit::Failed;
  }
}

Exit show_record(const Common &common, const ActionRecord &record, AskedFor asked) {
  if (common.format == Format::Json) {
    print_line(api::action_row(record));
  } else {
    for (const auto &[name, value] : action_lines(record)) {
      print_line(fmt::format("{:<9} {}", name, value));
    }
  }
  if (asked == AskedFor::Show) {
    return Exit::Ok;
  }
  const auto verdict = verdict_on(record, asked);
  if (verdict.code != Exit::Ok) {
    complain(verdict.words);
  }
  return verdict.code;
}

/// Sends it, waits, shows what became of it.
Exit ask_for_record(const Common &common, const std::string &run_folder,
                    const api::Request &request, AskedFor asked) {
  if (asked != AskedFor::Show && ::isatty(STDERR_FILENO) != 0) {
    fmt::print(stderr, "outguard: asked; waiting until it is done and proved ({} s at most)\n",
               kPatience.count());
  }
  const auto *act = std::get_if<api::Act>(&request);
  const auto line = ask_supervisor(run_folder, request, act != nullptr ? act->wait : kPatience);
  if (!line) {
    return line.error();
  }
  const auto record = api::parse_action(*line);
  if (!record) {
    return refused_with(record.error());
  }
  const bool ends_earlier = act != nullptr && act->action != record->wanted.action;
  return show_record(common, *record, ends_earlier && !act->dry_run ? AskedFor::Undo : asked);
}

/// On a terminal, unless it was said already; elsewhere nobody could answer.
bool confirmed(const ActOptions &options, const std::string &what) {
  if (options.yes || options.dry_run || ::isatty(STDIN_FILENO) == 0 ||
      ::isatty(STDERR_FILENO) == 0) {
    return true;
  }
  fmt::print(stderr, "{}: {}? [y/N] ", GuestText(options.target).printable(), what);
  char answer[16] = {};
  return std::fgets(answer, sizeof answer, stdin) != nullptr && (*answer == 'y' || *answer == 'Y');
}

Exit act(const Common &common, const ActOptions &options, api::Act request) {
  ActionWanted told{request.action, request.vm, {}, request.tree, request.rule, {}, {}, {}};
  if (request.pid != 0) {
    told.process = ProcessIdentity{request.pid, 0, 0};
  }
  if (!confirmed(options, what_of(told))) {
    complain("nothing was done");
    return Exit::Failed;
  }
  request.vm = options.target;
  request.why = options.why;
  request.dry_run = options.dry_run;
  request.wait = request.action == ResponseAction::Evidence ? kEvidencePatience : kPatience;
  const bool ends_earlier =
      request.action == ResponseAction::Release || request.action == ResponseAction::UnpauseVm;
  return ask_for_record(common, options.run_folder, request,
                        ends_earlier && !options.dry_run ? AskedFor::Undo : AskedFor::Act);
}

api::Act request_for(ResponseAction action) {
  api::Act request;
  request.action = action;
  return request;
}

/// Of one that was added or removed just now.
Exit show_entry(const Common &common, const std::string &run_folder, const api::Request &request) {
  const auto line = ask_supervisor(run_folder, request, {});
  if (!line) {
    return line.error();
  }
  const auto entry = api::parse_protection_answer(*line);
  if (!entry) {
    return refused_with(entry.error());
  }
  if (common.format == Format::Json) {
    print_line(api::protection_row(*entry));
  } else {
    const auto cells = protection_cells(*entry);
    print_line(entry->removed
                   ? fmt::format("{}: {} is protected no longer by it", cells[0], cells[1])
                   : fmt::format("{}: nothing is done to {} of {} (until: {}); what is in force "
                                 "stays until it is undone",
                                 cells[0], cells[1], cells[2], cells[3]));
  }
  return Exit::Ok;
}

/// `common.patience` is for guests that boot; a usage error is told and becomes its code.
template <class Value> Exit usage(const Result<Value> &wrong) {
  complain(wrong.error().message);
  return Exit::Usage;
}

} // namespace

Exit act_on_process(const Common &common, const ActOptions &options, ResponseAction action) {
  auto request = request_for(action);
  request.pid = options.pid;
  request.tree = options.tree;
  return act(common, options, std::move(request));
}

Exit act_on_vm(const Common &common, const ActOptions &options, ResponseAction action) {
  return act(common, options, request_for(action));
}

Exit block(const Common &common, const ActOptions &options) {
  const auto rule = parse_block(options.words);
  if (!rule) {
    return usage(rule);
  }
  const auto time = parse_time_to_live(options.time_to_live);
  if (!time) {
    return usage(time);
  }
  auto request =
      request_for(std::holds_alternative<FlowRule>(*rule)     ? ResponseAction::BlockFlow
                  : std::holds_alternative<RemoteRule>(*rule) ? ResponseAction::BlockRemote
                                                              : ResponseAction::BlockPort);
  request.rule = *rule;
  request.ttl = *time;
  return act(common, options, std::move(request));
}

Exit reset(const Common &common, const ActOptions &options) {
  std::vector<std::string> words{"flow"};
  words.insert(words.end(), options.words.begin(), options.words.end());
  const auto rule = parse_block(words);
  if (!rule) {
    return usage(rule);
  }
  auto request = request_for(ResponseAction::Reset);
  request.rule = *rule;
  return act(common, options, std::move(request));
}

Exit isolate(const Common &common, const ActOptions &options) {
  const auto rule = parse_isolation(options.words);
  if (!rule) {
    return usage(rule);
  }
  const auto time = parse_time_to_live(options.time_to_live);
  if (!time) {
    return usage(time);
  }
  auto request = request_for(ResponseAction::Isolate);
  request.rule = *rule;
  request.ttl = *time;
  return act(common, options, std::move(request));
}

Exit action_list(const Common &common, const std::string &run_folder) {
  const auto line = ask_supervisor(run_folder, api::ListActions(), {});
  if (!line) {
    return line.error();
  }
  const auto list = api::parse_actions(*line);
  if (!list) {
    return refused_with(list.error());
  }
  Table table({"ACTION", "ASKED", "VM", "WHAT", "STATE", "BY"});
  for (const auto &record : list->actions) {
    if (common.format == Format::Json) {
      print_line(api::action_row(record));
    } else {
      table.add({record.id, asked_at(record), GuestText(record.wanted.vm).printable(),
                 what_of(record.wanted), state_of(record),
                 GuestText(record.wanted.actor).printable()});
    }
  }
  if (common.format == Format::Table) {
    list->actions.empty() ? complain("no actions") : table.print();
  }
  if (list->left_out > 0) {
    complain(fmt::format("partial: {} older actions are not shown", list->left_out));
    return Exit::Partial;
  }
  return Exit::Ok;
}

Exit action_show(const Common &common, const std::string &run_folder, const std::string &id) {
  return ask_for_record(common, run_folder, api::ShowAction{id, {}}, AskedFor::Show);
}

Exit action_undo(const Common &common, const std::string &run_folder, const std::string &id) {
  return ask_for_record(common, run_folder, api::UndoAction{id, kPatience}, AskedFor::Undo);
}

Exit action_approve(const Common &common, const std::string &run_folder, const std::string &id,
                    const std::string &plan_hash) {
  return ask_for_record(common, run_folder, api::ApproveAction{id, plan_hash, kPatience},
                        AskedFor::Act);
}

Exit allow_check(const Common &common, const std::string &run_folder, const std::string &target,
                 const std::string &what) {
  api::CheckAllowed request{target, 0, IpNetwork::parse(what)};
  if (!request.remote) {
    const auto pid = parse_pid(what);
    if (!pid) {
      complain("what to check is a pid of the guest, an address or a network");
      return Exit::Usage;
    }
    request.pid = *pid;
  }
  const auto line = ask_supervisor(run_folder, request, {});
  if (!line) {
    return line.error();
  }
  const auto answer = api::parse_allowed(*line);
  if (!answer) {
    return refused_with(answer.error());
  }
  if (common.format == Format::Json) {
    print_line(api::allowed_row(*answer));
  } else {
    print_line(fmt::format("{}: {}", GuestText(answer->what).printable(),
                           answer->allowed
                               ? "no guard protects it"
                               : "protected: " + GuestText(answer->reason).printable()));
  }
  return answer->allowed ? Exit::Ok : Exit::Refused;
}

Exit allow_add(const Common &common, const std::string &run_folder, const AllowOptions &options) {
  api::AddAllowed request{options.what, options.why, options.vm, {}};
  if (!options.time_to_live.empty()) {
    const auto time = parse_time_to_live(options.time_to_live);
    if (!time) {
      return usage(time);
    }
    request.ttl = *time;
  }
  return show_entry(common, run_folder, request);
}

Exit allow_remove(const Common &common, const std::string &run_folder, const std::string &id) {
  return show_entry(common, run_folder, api::RemoveAllowed{id});
}

Exit allow_list(const Common &common, const std::string &run_folder) {
  const auto line = ask_supervisor(run_folder, api::ListAllowed(), {});
  if (!line) {
    return line.error();
  }
  const auto entries = api::parse_protections(*line);
  if (!entries) {
    return refused_with(entries.error());
  }
  if (common.format == Format::Json) {
    for (const auto &entry : *entries) {
      print_line(api::protection_row(entry));
    }
    return Exit::Ok;
  }
  Table table({"ENTRY", "WHAT", "VM", "UNTIL", "BY", "WHY"});
  for (const auto &entry : *entries) {
    table.add(protection_cells(entry));
  }
  table.print();
  return Exit::Ok;
}

Exit accept_losses(const Common &common, const std::string &run_folder) {
  const auto line = ask_supervisor(run_folder, api::AcceptLosses(), {});
  if (!line) {
    return line.error();
  }
  const auto done = api::parse_done(*line);
  if (!done) {
    return refused_with(done.error());
  }
  print_line(common.format == Format::Json
                 ? *line
                 : "intelligence is compiled anew, and the losses that were told are accepted");
  return Exit::Ok;
}

} // namespace outguard::cli
