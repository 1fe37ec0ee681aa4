// Guests with at least one of everything, in two forms; the input is a list of changes to them:
// pointers that lead back, elsewhere or nowhere, lying sizes, pages taken away, also while they are
// read. Whatever the guest looks like then, every call must end, and within its budget.
//
// Input: two bytes that choose the guest and what is asked, then changes (ImageMutator).
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "guest/bytes/byte_cursor.h"
#include "guest/linux/argument_reader.h"
#include "guest/linux/linux_guest.h"
#include "guest/testing/full_image.h"
#include "guest/testing/image_mutator.h"
#include "guest/testing/scan_clock.h"

namespace {

using namespace outguard;
using namespace outguard::guest;

constexpr std::size_t kMostChanges = 64;
constexpr std::size_t kMostAsked = 6; ///< processes; a list made longer has the same few behind it
constexpr std::uint64_t kMostHashed = std::uint64_t{4} << 20;
constexpr std::size_t kMostCalls = 20'000'000; ///< reads: some budgets, with page tables

ScanClock &the_clock() {
  static ScanClock clock;
  return clock;
}

/// What one input chooses beside its changes.
struct Choice {
  Choice(std::uint8_t first, std::uint8_t second)
      : form(first % 2 == 0 ? FullImage::Form::Lists : FullImage::Form::Trees),
        is_costly(first / 2 % 32 == 0), is_known(first / 64 == 0), searches(second % 8 == 0),
        hashes(second / 8 % 2 == 0) {}

  FullImage::Form form;
  bool is_costly; ///< through a PageStore, which takes long to make
  bool is_known;  ///< attached to, and read, while it was honest
  bool searches;  ///< all RAM for tasks
  bool hashes;
};

class FuzzedGuest {
public:
  explicit FuzzedGuest(FullImage::Form form) : image_(form) {}

  void run(const Choice &choice, ByteCursor &input) {
    FakeMemory &memory = image_.builder().memory();
    memory.make_costly(choice.is_costly);
    std::optional<LinuxGuest> guest;
    if (choice.is_known) {
      guest = attach();
      learn(*guest);
    }
    for (std::size_t count = 0; count < kMostChanges && mutator_.change(input); ++count) {
    }
    memory.clear_calls();
    if (!guest) {
      guest = attach();
    }
    if (guest) {
      visit(*guest, choice);
    }
    mutator_.restore();
    if (memory.calls().size() > kMostCalls) {
      __builtin_trap();
    }
  }

private:
  template <class Call> static auto timed(const char *name, Call call) {
    return the_clock().time(name, call);
  }
  [[nodiscard]] std::optional<LinuxGuest> attach() {
    auto guest = timed("attach", [&] { return LinuxGuest::attach(image_.kernel()); });
    return guest ? std::optional(std::move(*guest)) : std::nullopt;
  }
  void learn(LinuxGuest &guest) {
    static_cast<void>(guest.processes());
    static_cast<void>(guest.sockets());
  }
  void visit(LinuxGuest &guest, const Choice &choice);
  void ask_of_kernel(LinuxGuest &guest, const Choice &choice);
  void ask_of_process(LinuxGuest &guest, const ProcessSeen &process, const Choice &choice);
  void hash(LinuxGuest &guest, const ProcessIdentity &process);

  FullImage image_;
  ImageMutator mutator_{image_.builder(), image_.objects()};
};

void FuzzedGuest::ask_of_kernel(LinuxGuest &guest, const Choice &choice) {
  static_cast<void>(timed("self_check", [&] { return guest.self_check(); }));
  static_cast<void>(timed("pulse", [&] { return guest.pulse(); }));
  static_cast<void>(timed("is_run_by", [&] { return guest.is_run_by(image_.registers()); }));
  static_cast<void>(timed("integrity", [&] { return guest.integrity(); }));
  static_cast<void>(timed("sockets", [&] { return guest.sockets(); }));
  static_cast<void>(timed("all_sockets", [&] { return guest.all_sockets(); }));
  static_cast<void>(timed("views", [&] { return guest.processes(ViewScope::Kernel); }));
  if (choice.searches) {
    static_cast<void>(timed("views_scan", [&] { return guest.processes(ViewScope::Memory); }));
  }
}

void FuzzedGuest::hash(LinuxGuest &guest, const ProcessIdentity &process) {
  const auto file = timed("executable", [&] { return guest.executable(process); });
  if (!file) {
    return;
  }
  FileHasher hasher = guest.hasher(*file, kMostHashed);
  while (timed("hash_step", [&] { return guest.step(hasher); })) {
  }
}

void FuzzedGuest::ask_of_process(LinuxGuest &guest, const ProcessSeen &process,
                                 const Choice &choice) {
  const ProcessIdentity &identity = process.identity;
  Attribution attribution;
  attribution.processes = {process};
  timed("bring_up_to_date", [&] {
    guest.bring_up_to_date(attribution);
    return true;
  });
  static_cast<void>(timed("fate", [&] { return guest.fate(identity); }));
  static_cast<void>(timed("describe", [&] { return guest.describe(identity.pid); }));
  static_cast<void>(timed("maps", [&] { return guest.maps(identity); }));
  if (choice.hashes) {
    hash(guest, identity);
  }
  const auto plan = timed("plan_kill", [&] { return guest.plan_kill(identity); });
  if (plan && plan->patches.size() > kMaxPatches) {
    __builtin_trap();
  }
  const auto signal =
      timed("plan_signal", [&] { return guest.plan_signal(identity, GuestSignal::Stop); });
  if (signal && signal->identity.size() > 8) {
    __builtin_trap();
  }
  if (process.cmdline && process.cmdline->size() > kMostArguments) {
    __builtin_trap();
  }
}

void FuzzedGuest::visit(LinuxGuest &guest, const Choice &choice) {
  const auto seen = timed("processes", [&] { return guest.processes(); });
  ask_of_kernel(guest, choice);
  std::size_t asked = 0;
  for (const auto &process : seen.processes) {
    if (++asked > kMostAsked) {
      break;
    }
    ask_of_process(guest, process, choice);
  }
  for (const FlowTuple &flow : image_.flows()) {
    static_cast<void>(timed("attribute", [&] { return guest.attribute(flow, wall_now()); }));
  }
}

FuzzedGuest &guest_of(FullImage::Form form) {
  static FuzzedGuest lists(FullImage::Form::Lists), trees(FullImage::Form::Trees);
  return form == FullImage::Form::Lists ? lists : trees;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  ByteCursor input({data, size});
  const std::uint8_t first = input.u8().value_or(2), second = input.u8().value_or(0);
  const Choice choice(first, second);
  guest_of(choice.form).run(choice, input);
  return 0;
}

/// For the campaign (tests/fuzz/campaign_main.cpp).
std::map<std::string, std::uint64_t> take_scan_times();
std::map<std::string, std::uint64_t> take_scan_times() {
  return the_clock().take();
}

std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  std::vector<std::vector<std::uint8_t>> seeds(1);
  for (std::uint8_t kind = 0; kind < ImageMutator::kKinds; ++kind) {
    std::vector<std::uint8_t> seed{kind, kind};
    for (std::uint8_t number = 0; number < 8; ++number) {
      const bool is_late = number % 4 == 3;
      const std::array<std::uint8_t, 6> change = {
          static_cast<std::uint8_t>(kind | (is_late ? ImageMutator::kLate : 0)),
          static_cast<std::uint8_t>(number * 31 + kind * 7),
          static_cast<std::uint8_t>(number % 2),
          static_cast<std::uint8_t>(number * 24),
          static_cast<std::uint8_t>(number * 3),
          number};
      seed.insert(seed.end(), change.begin(), change.end());
      if (kind == ImageMutator::ToWord) {
        seed.insert(seed.end(), 8, number % 2 == 0 ? 0xff : number);
      }
    }
    seeds.push_back(seed);
  }
  return seeds;
}
