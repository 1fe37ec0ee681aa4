// Any plan to have a guest's kernel signal a process, out of a sensor that was taken over: what the
// header forbids never reaches QEMU's debugger stub, and none is refused that it allows.
#include <cstdlib>

#include "facts/wire_message.h"
#include "respond/fakes.h"
#include "respond/signal_call.h"

using namespace outguard;
using namespace outguard::respond;

namespace {

bool is_kernels(std::uint64_t address) {
  return address >> 56 == 0xff && address < 0xffff'ffff'ffff'f000;
}

/// What the header promises, said a second time.
bool is_sound(const SignalPlan &plan) {
  const auto signal = static_cast<int>(plan.signal);
  const auto inside = [&](std::uint64_t place) {
    return plan.kernel_begin <= place && place < plan.kernel_end;
  };
  bool good = (signal == 9 || signal == 18 || signal == 19) && plan.process.pid >= 2 &&
              is_kernels(plan.process.task) && plan.process.task % 8 == 0 &&
              !plan.identity.empty() && plan.identity.size() <= 8;
  for (const auto &check : plan.identity) {
    const bool is_width = check.width > 0 && check.width <= 8 && 8 % check.width == 0;
    good = good && is_width && check.write_mask == 0 && check.value == 0 &&
           check.expect_mask != 0 && (check.expect_mask & check.expect) == check.expect &&
           check.address % 4096 + check.width <= 4096 &&
           (check.width == 8 || check.expect_mask >> (8 * check.width) == 0);
  }
  return good && is_kernels(plan.kernel_begin) && is_kernels(plan.kernel_end) &&
         plan.kernel_begin < plan.kernel_end && plan.kernel_end - plan.kernel_begin <= 64U << 20U &&
         inside(plan.stop_at) && inside(plan.function) && inside(plan.return_to) &&
         (plan.hurry_at == 0 || (inside(plan.hurry_at) && plan.hurry_at != plan.stop_at));
}

/// No stub is there; counts who wants it.
class NoStub : public FakeControl {
public:
  using FakeControl::FakeControl;
  Result<Fd> open_debugger(std::string_view first_words) override {
    ++opened;
    said = first_words;
    return fail(ErrorCode::Refused, "somebody else's");
  }
  unsigned opened = 0;
  std::string said;
};

SignalPlan good_plan() {
  constexpr std::uint64_t kText = 0xffff'ffff'8100'0000;
  SignalPlan plan;
  plan.process = {42, 7, 0xffff'8880'0123'4500};
  plan.identity = {{FakeVm::kFirstPage, 4, ~0U, 42, 0, 0}};
  plan.stop_at = kText;
  plan.hurry_at = kText + 0x100;
  plan.function = kText + 0x200;
  plan.return_to = kText + 0x300;
  plan.kernel_begin = kText;
  plan.kernel_end = kText + 0x20'0000;
  return plan;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  const auto plan = decode_message<SignalPlan>(std::span(data, size), WireReader::PlainText::Any);
  if (!plan) {
    return 0;
  }
  FakeVm vm;
  NoStub control(vm);
  const auto outcome = call_signal(control, *plan);
  const bool sound = is_sound(*plan);
  if (validate_signal_plan(*plan).has_value() != sound || control.opened != (sound ? 1U : 0U) ||
      outcome.status != SignalStatus::Refused || vm.writes != 0 || vm.pauses != 0 || !vm.running) {
    std::abort();
  }
  return 0;
}

std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  std::vector<SignalPlan> plans(8, good_plan());
  plans[1].hurry_at = 0;
  plans[2].signal = GuestSignal::Stop;
  plans[3].identity.resize(8, plans[3].identity[0]);
  plans[4].identity[0].write_mask = 1;
  plans[5].kernel_end = plans[5].kernel_begin + (64U << 20U) + 1;
  plans[6].process.pid = 1;
  plans[7].function = 0x400000;
  std::vector<std::vector<std::uint8_t>> seeds;
  for (const auto &plan : plans) {
    seeds.push_back(encode_message(plan));
  }
  return seeds;
}
