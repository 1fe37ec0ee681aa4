// A valid guest with tasks, threads, sockets, paths and tables; the input is a list of changes to
// it: pointers that lead back, elsewhere or nowhere, lying sizes, pages taken away. Whatever the
// guest looks like then, every call must end, and within its budget.
#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "guest/bytes/byte_cursor.h"
#include "guest/linux/argument_reader.h"
#include "guest/linux/linux_guest.h"
#include "guest/testing/linux_image.h"
#include "guest/testing/scan_clock.h"

namespace {

using namespace outguard;
using namespace outguard::guest;

constexpr std::size_t kMostChanges = 64;
constexpr std::size_t kMostAsked = 16; ///< processes
enum Change : std::uint8_t {
  ToObject, ///< cycles, and objects taken for another kind
  ToItself,
  ToWord,
  ToSmall, ///< lengths, counts, states
  ToPower, ///< lengths and masks beyond all reason
  FlipByte,
  Swap, ///< with another object's word
  Unmap,
  UnmapTail ///< the page where the object ends
};
constexpr std::uint8_t kChanges = UnmapTail + 1;

Endpoint end(std::string_view text) {
  return Endpoint::parse(text).value();
}

/// One of everything.
class Guest {
public:
  Guest() {
    const GuestVirtual net = image_.add_namespace(4026532118);
    image_.mount_at("/srv");
    const GuestVirtual web = image_.add_process({.pid = 80, .exe = "/srv/bin/web"});
    const GuestVirtual child = image_.add_process({.pid = 81, .parent = web, .net = net});
    image_.add_process({.pid = 3, .exe = "", .flags = 0x200000});
    image_.add_process({.pid = 82, .exe = "", .exit_state = 0x20});
    const GuestVirtual thread = image_.add_thread(web, 83, true);
    image_.add_thread(web, 84);
    image_.grow_descriptors(child, 1024);
    image_.hold_plain_file(web, 0);
    for (std::uint16_t port = 1; port <= 4; ++port) {
      const auto made = image_.add_socket({.local = {end("10.0.0.1:0").address, port},
                                           .remote = end("203.0.113.66:4444"),
                                           .net = port == 4 ? net : GuestVirtual{}});
      image_.hold(port % 2 == 0 ? web : thread, port, made);
      image_.hold(child, port * 200U, made);
    }
    image_.hold(
        web, 10,
        image_.add_socket({.state = 10, .local = end("[::]:443"), .remote = end("[::]:0")}));
    image_.hold(web, 11,
                image_.add_socket({.protocol = 17,
                                   .type = 2,
                                   .state = 7,
                                   .local = end("0.0.0.0:53"),
                                   .remote = end("0.0.0.0:0")}));
    image_.hold(web, 12,
                image_.add_socket({.protocol = 1,
                                   .type = 3,
                                   .state = 7,
                                   .local = end("0.0.0.0:1"),
                                   .remote = end("0.0.0.0:0")}));
    image_.add_minisock(6, end("10.0.0.1:9"), end("203.0.113.66:4444"));
    image_.add_minisock(12, end("10.0.0.1:443"), end("203.0.113.66:4444"));
  }

  void change(ByteCursor &input);
  void visit(bool is_costly);
  void restore();
  [[nodiscard]] ScanClock &clock() { return clock_; }

private:
  void set(GuestVirtual at, std::uint64_t value) {
    if (const auto old = image_.builder().space().read<std::uint64_t>(at)) {
      words_.push_back({at, old->any_value()});
      image_.builder().put(at, value);
    }
  }
  [[nodiscard]] GuestVirtual object(std::uint16_t index) const {
    return image_.objects()[index % image_.objects().size()].address;
  }

  struct Word {
    GuestVirtual at;
    std::uint64_t value;
  };
  struct Page {
    GuestVirtual at;
    GuestPhysical frame;
  };
  [[nodiscard]] GuestVirtual word_of(const LinuxImage::Object &object, std::uint8_t choice);
  void unmap(GuestVirtual at);

  LinuxImage image_;
  ScanClock clock_;
  std::vector<Word> words_;
  std::vector<Page> pages_;
};

/// Of the object's words that say something, the one that `choice` means.
GuestVirtual Guest::word_of(const LinuxImage::Object &object, std::uint8_t choice) {
  std::vector<std::uint64_t> words(object.size / sizeof(std::uint64_t));
  const auto read =
      image_.builder().space().read(object.address, {reinterpret_cast<std::uint8_t *>(words.data()),
                                                     words.size() * sizeof(std::uint64_t)});
  std::vector<std::size_t> used;
  for (std::size_t index = 0; read && index < words.size(); ++index) {
    if (words[index] != 0) {
      used.push_back(index);
    }
  }
  // One in eight changes a word that is zero.
  const std::size_t index = used.empty() || choice % 8 == 7
                                ? choice % std::max<std::size_t>(words.size(), 1)
                                : used[choice / 8 % used.size()];
  return object.address.plus_wrapping(index * sizeof(std::uint64_t));
}

void Guest::unmap(GuestVirtual at) {
  const GuestVirtual page(at.raw() & ~0xfffULL);
  if (const auto frame = image_.builder().space().translate(page)) {
    pages_.push_back({page, *frame});
    image_.builder().unmap(page);
  }
}

void Guest::change(ByteCursor &input) {
  const auto kind = input.u8();
  const auto index = input.le16();
  const auto word = input.u8();
  const auto payload = input.le16();
  if (!kind || !index || !word || !payload) {
    return;
  }
  const auto &target = image_.objects()[*index % image_.objects().size()];
  const GuestVirtual at = word_of(target, *word);
  const auto old = image_.builder().space().read<std::uint64_t>(at);
  if (!old) {
    return;
  }
  switch (*kind % kChanges) {
  case ToObject:
    return set(at, object(*payload).raw() + (std::uint64_t{*payload} >> 10) * 8);
  case ToItself:
    return set(at, at.raw());
  case ToWord:
    return set(at, input.le64().value_or(0));
  case ToSmall:
    return set(at, *payload);
  case ToPower:
    return set(at, (std::uint64_t{1} << *payload % 64U) - (*payload >> 15));
  case FlipByte:
    return set(at, old->any_value() ^ std::uint64_t{*payload} << (*word % 7U * 8U));
  case Swap: {
    const auto &partner = image_.objects()[*payload % image_.objects().size()];
    const GuestVirtual there = word_of(partner, static_cast<std::uint8_t>(*payload >> 8));
    if (const auto other = image_.builder().space().read<std::uint64_t>(there)) {
      set(at, other->any_value());
      set(there, old->any_value());
    }
    return;
  }
  case Unmap:
    return unmap(at);
  default:
    return unmap(target.address.plus_wrapping(target.size - 1));
  }
}

void Guest::visit(bool is_costly) {
  FakeMemory &memory = image_.builder().memory();
  memory.clear_calls();
  memory.make_costly(is_costly);
  auto guest = LinuxGuest::attach(image_.kernel());
  if (!guest) {
    return;
  }
  static_cast<void>(guest->self_check());
  const auto seen = clock_.time("processes", [&] { return guest->processes(); });
  static_cast<void>(clock_.time("sockets", [&] { return guest->sockets(); }));
  static_cast<void>(clock_.time("views", [&] { return guest->processes(ViewScope::Kernel); }));
  static_cast<void>(clock_.time("all sockets", [&] { return guest->all_sockets(); }));
  std::size_t asked = 0;
  for (const auto &process : seen.processes) {
    if (++asked > kMostAsked) { // a list that was made longer has the same few behind it
      break;
    }
    static_cast<void>(clock_.time("ancestors", [&] { return guest->ancestors(process.identity); }));
    static_cast<void>(clock_.time("fate", [&] { return guest->fate(process.identity); }));
    static_cast<void>(
        clock_.time("describe", [&] { return guest->describe(process.identity.pid); }));
    static_cast<void>(clock_.time("maps", [&] { return guest->maps(process.identity); }));
    const auto plan = clock_.time("plan_kill", [&] { return guest->plan_kill(process.identity); });
    if (plan && plan->patches.size() > kMaxPatches) {
      __builtin_trap();
    }
    if (process.cmdline && process.cmdline->size() > kMostArguments) {
      __builtin_trap();
    }
  }
  for (const auto &flow : {FlowTuple{6, end("10.0.0.1:2"), end("203.0.113.66:4444")},
                           FlowTuple{17, end("10.0.0.1:53"), end("203.0.113.66:9")}}) {
    for (const WallTime when : {WallTime{}, wall_now()}) {
      static_cast<void>(clock_.time("attribute", [&] { return guest->attribute(flow, when); }));
    }
  }
  constexpr std::size_t kMostCalls = 20'000'000; // some budgets, with page tables
  if (memory.calls().size() > kMostCalls) {
    __builtin_trap();
  }
}

void Guest::restore() {
  for (; !pages_.empty(); pages_.pop_back()) {
    image_.builder().map_page(image_.builder().root(), pages_.back().at, pages_.back().frame);
  }
  for (; !words_.empty(); words_.pop_back()) {
    image_.builder().put(words_.back().at, words_.back().value);
  }
}

} // namespace

namespace {

Guest &the_guest() {
  static Guest guest;
  return guest;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  Guest &guest = the_guest();
  ByteCursor input({data, size});
  // One in 32 through a PageStore, which takes long to make.
  const bool is_costly = input.u8().value_or(1) % 32 == 0;
  for (std::size_t count = 0; count < kMostChanges && !input.at_end(); ++count) {
    const std::size_t before = input.position();
    guest.change(input);
    if (input.position() == before) {
      break;
    }
  }
  guest.visit(is_costly);
  guest.restore();
  return 0;
}

/// For the campaign (tests/fuzz/campaign_main.cpp).
std::map<std::string, std::uint64_t> take_scan_times();
std::map<std::string, std::uint64_t> take_scan_times() {
  return the_guest().clock().take();
}

std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  std::vector<std::vector<std::uint8_t>> seeds(1);
  for (std::uint8_t kind = 0; kind < kChanges; ++kind) {
    std::vector<std::uint8_t> seed(1, kind); // the first one through a PageStore
    for (std::uint8_t number = 0; number < 12; ++number) {
      const std::array<std::uint8_t, 6> change = {kind,   static_cast<std::uint8_t>(number * 21),
                                                  0,      static_cast<std::uint8_t>(number * 3),
                                                  number, 0};
      seed.insert(seed.end(), change.begin(), change.end());
      if (kind == ToWord) {
        seed.insert(seed.end(), 8, number % 2 == 0 ? 0xff : number);
      }
    }
    seeds.push_back(seed);
  }
  return seeds;
}
