// Any write plan out of a sensor that was taken over, at a guest whose memory is any, with one of
// its accesses failing: carried out exactly, or not at all, and the VM runs again.
#include <cstdlib>
#include <cstring>

#include "facts/wire_message.h"
#include "respond/fakes.h"
#include "respond/plan_executor.h"

using namespace outguard;
using namespace outguard::respond;

namespace {

constexpr std::size_t kHead = 64; ///< how it fails, then words of the guest

bool is_ram(const Patch &patch) {
  const auto page = patch.address / 0x1000 * 0x1000;
  return page == FakeVm::kFirstPage || page == FakeVm::kOtherPage;
}

/// What the header of the executor promises to refuse, said a second time.
bool is_sound(const WritePlan &plan) {
  bool writes = false;
  for (const auto &patch : plan.patches) {
    const bool is_width = patch.width > 0 && patch.width <= 8 && 8 % patch.width == 0;
    if (!is_width || patch.address / 0x1000 != (patch.address + patch.width - 1) / 0x1000) {
      return false;
    }
    const std::uint64_t all = ~0ULL >> (64 - 8 * patch.width);
    if ((patch.expect_mask & ~all) != 0 || (patch.write_mask & ~all) != 0 ||
        (patch.expect_mask == 0 && patch.write_mask == 0) ||
        (patch.expect & patch.expect_mask) != patch.expect ||
        (patch.value & patch.write_mask) != patch.value) {
      return false;
    }
    writes = writes || patch.write_mask != 0;
  }
  return writes && plan.patches.size() <= kMaxPatches;
}

std::uint64_t word_at(const std::vector<std::uint8_t> &memory, const Patch &patch) {
  std::uint64_t word = 0;
  std::memcpy(&word, &memory[patch.address], patch.width);
  return word;
}

bool holds_everywhere(const std::vector<std::uint8_t> &memory, const WritePlan &plan) {
  for (const auto &patch : plan.patches) {
    if (is_ram(patch) && (word_at(memory, patch) & patch.expect_mask) != patch.expect) {
      return false;
    }
  }
  return true;
}

void demand(bool what) {
  if (!what) {
    std::abort();
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  if (size < kHead) {
    return 0;
  }
  const auto plan =
      decode_message<WritePlan>(std::span(data, size).subspan(kHead), WireReader::PlainText::Any);
  if (!plan) {
    return 0;
  }
  FakeVm vm;
  for (std::size_t i = 8; i < kHead; ++i) { // the same words all over both pages
    for (const auto page : {FakeVm::kFirstPage, FakeVm::kOtherPage}) {
      for (std::size_t at = i; at < 0x1000; at += kHead) {
        vm.memory[page + at] = data[i];
      }
    }
  }
  vm.fail_write = data[0] % 2 == 1 ? data[1] : -1;
  vm.lose_write = data[0] % 4 == 2 ? data[1] : -1;
  vm.fail_pause = data[2] == 1;
  const auto before = vm.memory;
  FakeControl control(vm);
  const auto outcome = execute_plan(control, *plan);

  demand(!vm.touched_while_running);
  demand(vm.running || vm.fail_pause);
  if (!is_sound(*plan)) {
    demand(outcome.status == PlanStatus::Refused && vm.pauses == 0);
  } else {
    demand(outcome.status != PlanStatus::Refused);
  }
  auto expected = before;
  if (outcome.status == PlanStatus::Applied) {
    demand(holds_everywhere(before, *plan));
    for (const auto &patch : plan->patches) {
      demand(is_ram(patch));
      const auto word = (word_at(expected, patch) & ~patch.write_mask) | patch.value;
      std::memcpy(&expected[patch.address], &word, patch.width);
    }
  } else if (outcome.status == PlanStatus::Mismatch) {
    demand(vm.writes == 0 && !holds_everywhere(before, *plan));
  }
  demand(vm.memory == expected);
  return 0;
}

std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  constexpr std::uint64_t kA = FakeVm::kFirstPage, kB = FakeVm::kOtherPage + 8;
  const std::vector<std::vector<Patch>> plans = {
      {{kA, 4, ~0U, 0, ~0U, 8}, {kB, 8, 0, 0, ~0ULL, 9}, {kB, 1, 0xff, 0, 0, 0}},
      {{kA, 8, 0xf0, 0, 0x0f, 5}, {kA + 4, 2, 0, 0, 0xffff, 7}, {kA, 1, 0, 0, 0x80, 0x80}},
      {{kA + 0xfff, 1, 0, 0, 1, 1}, {kA + 0xffe, 4, 0, 0, 1, 1}},
      {{kA, 3, 0, 0, 1, 1}},
      {{0x2000, 4, 0, 0, 1, 1}},
      {{~0ULL - 3, 4, 0, 0, 1, 1}},
      {{kA, 1, 0, 0, 0x100, 0}},
      {{kA, 4, 1, 2, 1, 1}},
      {{kA, 4, 1, 1, 0, 0}},
      {}};
  std::vector<std::vector<std::uint8_t>> seeds;
  for (const auto &patches : plans) {
    for (std::uint8_t fault = 0; fault < 3; ++fault) {
      std::vector<std::uint8_t> seed(kHead);
      seed[0] = fault;
      seed[1] = 1;
      const auto plan = encode_message(WritePlan{{42, 1, 1}, patches});
      seed.insert(seed.end(), plan.begin(), plan.end());
      seeds.push_back(std::move(seed));
    }
  }
  return seeds;
}
