// A valid guest with tasks, threads, sockets, paths and tables; the input is a list of changes to
// it: pointers that lead back, elsewhere or nowhere, lying sizes, pages taken away. Whatever the
// guest looks like then, every call must end, and within its budget.
#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "guest/bytes/byte_cursor.h"
#include "guest/linux/linux_guest.h"
#include "guest/testing/linux_image.h"

namespace {

using namespace outguard;
using namespace outguard::guest;

constexpr std::size_t kMostChanges = 64;
constexpr WalkBudget kBudget(20'000, 8 << 20); // ten times what the whole guest needs
enum Change : std::uint8_t { ToObject, ToItself, ToWord, ToSmall, FlipByte, Unmap };
constexpr std::uint8_t kChanges = Unmap + 1;

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
  void visit();
  void restore();

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
  LinuxImage image_;
  std::vector<Word> words_;
  std::vector<Page> pages_;
};

void Guest::change(ByteCursor &input) {
  const auto kind = input.u8();
  const auto index = input.le16();
  const auto word = input.u8();
  const auto payload = input.le16();
  if (!kind || !index || !word || !payload) {
    return;
  }
  const auto &target = image_.objects()[*index % image_.objects().size()];
  const GuestVirtual at =
      target.address.plus_wrapping(std::uint64_t{*word} * 8 % target.size / 8 * 8);
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
  case FlipByte:
    return set(at, old->any_value() ^ std::uint64_t{*payload} << (*word % 7U * 8U));
  default:
    break;
  }
  if (const auto frame = image_.builder().space().translate(GuestVirtual(at.raw() & ~0xfffULL))) {
    pages_.push_back({GuestVirtual(at.raw() & ~0xfffULL), *frame});
    image_.builder().unmap(at);
  }
}

void Guest::visit() {
  image_.builder().memory().clear_calls();
  auto guest = LinuxGuest::attach(image_.kernel(), kBudget);
  if (!guest) {
    return;
  }
  static_cast<void>(guest->self_check());
  static_cast<void>(guest->sockets());
  for (const auto &process : guest->processes().processes) {
    static_cast<void>(guest->ancestors(process.identity));
    static_cast<void>(guest->fate(process.identity));
    if (const auto plan = guest->plan_kill(process.identity);
        plan && plan->patches.size() > kMaxPatches) {
      __builtin_trap();
    }
    if (process.cmdline && process.cmdline->size() > 256) {
      __builtin_trap();
    }
  }
  constexpr std::size_t kMostCalls =
      2'000'000; // some twenty budgets; a field split over pages is 2
  if (image_.builder().memory().calls().size() > kMostCalls) {
    __builtin_trap();
  }
  for (const auto &flow : {FlowTuple{6, end("10.0.0.1:2"), end("203.0.113.66:4444")},
                           FlowTuple{17, end("10.0.0.1:53"), end("203.0.113.66:9")}}) {
    static_cast<void>(guest->attribute(flow, WallTime{}));
    static_cast<void>(guest->attribute(flow, wall_now()));
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

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  static Guest guest;
  ByteCursor input({data, size});
  for (std::size_t count = 0; count < kMostChanges && !input.at_end(); ++count) {
    const std::size_t before = input.position();
    guest.change(input);
    if (input.position() == before) {
      break;
    }
  }
  guest.visit();
  guest.restore();
  return 0;
}

std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  std::vector<std::vector<std::uint8_t>> seeds(1);
  for (std::uint8_t kind = 0; kind < kChanges; ++kind) {
    std::vector<std::uint8_t> seed;
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
