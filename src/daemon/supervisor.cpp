#include "daemon/supervisor.h"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <thread>

#include <fmt/format.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "api/server.h"
#include "api/status_json.h"
#include "base/log.h"
#include "daemon/action_desk.h"
#include "daemon/guards.h"
#include "daemon/intel_keeper.h"
#include "daemon/leftovers.h"
#include "daemon/policy_keeper.h"
#include "daemon/verbs.h"
#include "facts/guest_text.h"
#include "hypervisor/vm_finder.h"
#include "hypervisor/vm_watch.h"
#include "store/eve_breaker.h"
#include "store/json_lines.h"
#include "store/line_output.h"
#include "store/terminal_line.h"

namespace outguard::daemon {

namespace {

constexpr std::chrono::milliseconds kLook{1000};

/// Readable once somebody asks the program to end or to reload. The signals must be blocked before
/// any thread starts.
Result<Fd> hear_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int one : {SIGINT, SIGTERM, SIGHUP}) {
    sigaddset(&signals, one);
  }
  if (::pthread_sigmask(SIG_BLOCK, &signals, nullptr) != 0) {
    return fail_errno("pthread_sigmask");
  }
  Fd fd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) {
    return fail_errno("signalfd");
  }
  return fd;
}

/// A VM takes about a dozen descriptors; the usual soft limit of 1,024 is a hundred VMs.
void allow_many_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    static_cast<void>(::setrlimit(RLIMIT_NOFILE, &limit));
  }
}

enum class Asked { Nothing, Reload, End };

Asked what_is_asked(const Fd &signals) {
  signalfd_siginfo info{};
  if (::read(signals.get(), &info, sizeof info) != static_cast<ssize_t>(sizeof info)) {
    return Asked::Nothing;
  }
  return info.ssi_signo == SIGHUP ? Asked::Reload : Asked::End;
}

void reopen(store::EveWriter &eve) {
  if (const auto reopened = eve.reopen(); !reopened) {
    log::error("EVE file: " + reopened.error().message);
  }
}

respond::GuardPolicy guard_policy(const Config &config, const ActionDesk *desk) {
  respond::GuardPolicy policy;
  policy.added = desk != nullptr ? desk->protections() : nullptr;
  for (const auto &entry : config.protected_processes) {
    (entry.starts_with('/') ? policy.protected_paths : policy.protected_names).push_back(entry);
  }
  policy.protected_networks = config.protected_networks;
  return policy;
}

/// What `allow list` shows beside what people added.
std::vector<Protection> configured_protections(const Config &config) {
  std::vector<Protection> all;
  const auto add = [&](const std::string &what, const char *by) {
    if (auto one = parse_protection(what)) {
      one->actor = by;
      all.push_back(std::move(*one));
    }
  };
  for (const auto &network : config.protected_networks) {
    add(network.name, "configuration");
  }
  for (const auto &process : config.protected_processes) {
    add(process, "configuration");
  }
  for (const auto &name : respond::GuardPolicy::default_protected_names()) {
    add(name, "built in");
  }
  return all;
}

std::vector<IpNetwork> always_allowed(const Config &config) {
  std::vector<IpNetwork> networks;
  for (const auto &network : config.protected_networks) {
    networks.push_back({network.address, network.prefix_length});
  }
  return networks;
}

bool is_wanted(const Config &config, const hypervisor::VmFound &vm) {
  return config.vms.empty() ||
         std::any_of(config.vms.begin(), config.vms.end(), [&](const std::string &wanted) {
           return wanted == vm.name || wanted == vm.key();
         });
}

/// A name that no VM has now may come later, or be a typing error.
void tell_unknown(const Config &config) {
  const auto vms = hypervisor::find_vms();
  for (const auto &wanted : config.vms) {
    const bool there = vms && std::any_of(vms->begin(), vms->end(), [&](const auto &vm) {
                         return wanted == vm.name || wanted == vm.key();
                       });
    if (!there) {
      log::warning(wanted + ": no such VM yet; it is guarded when it comes");
    }
  }
}

/// Without a journal nothing is done; it guards and alerts all the same.
std::unique_ptr<ActionDesk> open_desk(const Config &config, const Guards &guards,
                                      store::EveWriter &eve, std::string &why_not) {
  const auto find_hands = [&guards](const std::string &vm) -> std::shared_ptr<ActionHands> {
    return guards.find(vm).value_or(nullptr);
  };
  const auto on_breaker = [&eve](const BreakerOpened &opened) {
    if (const auto written = eve.write(store::eve_breaker(opened)); !written) {
      log::error("an open breaker is not written: " + written.error().message);
    }
  };
  auto desk =
      ActionDesk::open(config.actions_folder, find_hands, config.actions, nullptr, on_breaker);
  if (!desk) {
    why_not = "no action can be journaled, so none is taken: " + desk.error().message;
    log::error(why_not);
    return nullptr;
  }
  return std::move(*desk);
}

Verbs make_verbs(const Config &config, IntelKeeper &keeper, const Guards &guards, ActionDesk *desk,
                 const std::string &no_desk) {
  Verbs::Parts parts;
  parts.desk = desk;
  parts.no_desk = no_desk;
  parts.find_vm = [&guards](const std::string &target) -> Result<VmAsked> {
    const auto hands = guards.find(target);
    if (!hands) {
      return tl::unexpected(hands.error());
    }
    return VmAsked{(*hands)->vm().key(), *hands,
                   [hands = *hands](std::int32_t pid) { return hands->look_at(pid); }};
  };
  parts.accept_losses = [&keeper] { keeper.reload(); };
  parts.always_allowed = always_allowed(config);
  parts.configured = configured_protections(config);
  return Verbs(std::move(parts));
}

/// Where it cannot be asked, it guards all the same.
std::unique_ptr<api::Server> answer_requests(const Config &config, const IntelKeeper &keeper,
                                             const PolicyKeeper &policies, const Guards &guards,
                                             const Verbs &verbs, const std::string &no_desk,
                                             const std::string &version) {
  const auto started = wall_now();
  const auto status = [&config, &keeper, &policies, &guards, &no_desk, version, started] {
    api::SupervisorStatus now;
    now.pid = ::getpid();
    now.version = version;
    now.mode = to_string(config.policy.mode());
    now.config = config.file;
    now.eve_file = config.eve_file;
    now.cache = config.intel.cache;
    now.started = started;
    now.intelligence = keeper.status();
    now.policies = policies.status();
    now.guards = guards.status();
    now.actions = {config.actions_folder, no_desk};
    return api::answer_line(now);
  };
  auto server = api::Server::start(
      config.run_folder, [status, &verbs](const api::Request &request, const api::Peer &peer,
                                          const std::stop_token &gone) {
        return std::holds_alternative<api::StatusAsked>(request)
                   ? status()
                   : verbs.answer(request, peer, gone);
      });
  if (!server) {
    log::warning("cannot be asked how it is (outguard doctor): " + server.error().message);
    return nullptr;
  }
  return std::move(*server);
}

/// Starts the keeper, which may compile for long, and listens meanwhile. What was asked.
Result<Asked> start(IntelKeeper &keeper, const Fd &signals) {
  constexpr std::chrono::milliseconds kTick{20};
  std::atomic<Asked> heard = Asked::Nothing;
  std::jthread listening([&](const std::stop_token &started) {
    while (!started.stop_requested() && heard != Asked::End) {
      pollfd one{signals.get(), POLLIN, 0};
      if (::poll(&one, 1, static_cast<int>(kTick.count())) > 0) {
        heard = what_is_asked(signals);
      }
    }
    if (heard == Asked::End) {
      keeper.end();
    }
  });
  const auto started = keeper.start();
  listening.request_stop();
  listening.join();
  if (!started && heard != Asked::End) {
    return tl::unexpected(started.error());
  }
  return heard;
}

} // namespace

Result<void> supervise(const Config &config, Show show, const std::string &version) {
  std::signal(SIGPIPE, SIG_IGN); // `outguard run | head` must not end the guards
  allow_many_files();
  const auto signals = hear_signals();
  if (!signals) {
    return tl::unexpected(signals.error());
  }
  std::error_code ignored; // what is wrong with the folder shows when the file is opened
  std::filesystem::create_directories(std::filesystem::path(config.eve_file).parent_path(),
                                      ignored);
  const auto eve = store::EveWriter::open(config.eve_file);
  if (!eve) {
    return tl::unexpected(eve.error());
  }
  PolicyKeeper policies(config.policies);
  if (auto started = policies.start(); !started) {
    return tl::unexpected(started.error());
  }
  IntelBoard intel;
  IntelKeeper keeper(config.intel, intel);
  Guards guards;
  std::string no_desk;
  const auto desk = open_desk(config, guards, **eve, no_desk);
  const auto verbs = make_verbs(config, keeper, guards, desk.get(), no_desk);
  // Before intelligence is compiled: that it is can be asked.
  const auto api = answer_requests(config, keeper, policies, guards, verbs, no_desk, version);
  const auto heard = start(keeper, *signals);
  if (!heard || *heard == Asked::End) {
    return heard ? Result<void>() : tl::unexpected(heard.error());
  }
  store::LineOutput out(STDOUT_FILENO);
  std::atomic<std::uint64_t> unshown = 0;
  const auto colour = ::isatty(STDOUT_FILENO) != 0 && ::getenv("NO_COLOR") == nullptr
                          ? store::Colour::On
                          : store::Colour::Off;
  const auto record = [&](const Finding &finding, const std::vector<ResponseDone> &responses) {
    if (finding.match.policy && finding.match.policy->repeat) {
      return; // told before; what was done about this flow is in the journal
    }
    auto eve_line = store::eve_alert(finding, responses);
    if (const auto written = (*eve)->write(eve_line); !written) {
      log::error("alert not written: " + written.error().message);
    }
    auto line =
        show == Show::Json ? std::move(eve_line) : store::alert_line(finding, responses, colour);
    // What nobody takes is not waited for: the EVE file has it.
    if (!out.write(std::move(line))) {
      ++unshown;
    } else if (const auto missed = unshown.exchange(0); missed != 0) {
      log::warning(fmt::format("alerts that were not shown, as nobody took them: {}", missed));
    }
  };
  const auto found_vm = [&desk](const std::string &vm) {
    if (desk) {
      desk->take_vm(vm);
    }
  };
  const Shared shared{config,
                      intel,
                      policies,
                      **eve,
                      {desk.get(), no_desk, config.approvals, always_allowed(config), record},
                      guard_policy(config, desk.get()),
                      found_vm};

  log::info(fmt::format("guarding this host's VMs, mode {}", to_string(config.policy.mode())));
  tell_unknown(config);
  hypervisor::VmWatch watch;
  Leftovers leftovers;
  for (auto asked = *heard; asked != Asked::End; asked = what_is_asked(*signals)) {
    if (asked == Asked::Reload) {
      log::info("SIGHUP: intelligence is compiled anew, policies are read and the EVE file opened "
                "anew, breakers closed");
      keeper.reload();
      policies.reload();
      reopen(**eve);
      if (desk) {
        desk->close_breakers();
      }
    }
    const auto changes = watch.next(kLook, signals->get());
    if (!changes) { // the guards go on; the next look may work
      log::error("cannot look for VMs: " + changes.error().message);
      std::this_thread::sleep_for(kLook);
      continue;
    }
    for (const auto &change : *changes) {
      const auto name = GuestText(change.vm.name).printable();
      guards.remove(change.vm.pid); // ends its threads; a changed VM is guarded anew
      if (change.kind == hypervisor::VmChange::Kind::Disappeared) {
        log::info(name + ": QEMU has ended");
      } else if (is_wanted(config, change.vm)) {
        log::info(fmt::format("{}: guarded (pid {})", name, change.vm.pid));
        guards.add(change.vm, shared);
        leftovers.take(change.vm);
        found_vm(change.vm.key()); // its blocks wait for no sensor
      }
    }
    leftovers.sweep();
  }
  log::info("ending; blocks stay until they expire");
  keeper.end();
  guards.end();
  return {};
}

} // namespace outguard::daemon
