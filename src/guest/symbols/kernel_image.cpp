#include "guest/symbols/kernel_image.h"

#include <algorithm>

namespace outguard::guest {
namespace {

/// Debian's kernels take 25 to 64 MiB, of which up to 16,000 pages are mapped one by one.
constexpr std::uint64_t kMaxImageBytes = std::uint64_t{128} << 20;
constexpr std::uint64_t kMaxCopyBytes = std::uint64_t{64} << 20; ///< read-only data: 6 to 20 MiB
constexpr std::uint64_t kMaxImageSteps = 100'000;
constexpr std::size_t kMaxRuns = 256;

bool continues(const ImageRun &run, const MappedPage &page) {
  return run.start.plus_wrapping(run.length) == page.start && run.writable == page.at.writable &&
         run.executable == page.at.executable;
}

} // namespace

Result<std::vector<ImageRun>> map_kernel_image(const AddressSpace &space) {
  std::vector<ImageRun> runs;
  WalkBudget budget(kMaxImageSteps, kMaxImageBytes);
  for (GuestVirtual at = kImageWindow; at < kImageWindowEnd;) {
    const auto page = space.next_mapped(at, kImageWindowEnd, budget);
    if (!page && page.error().code == FaultCode::SourceGone) {
      return tl::unexpected(page.error());
    }
    if (!page || !budget.take_bytes(page->at.bytes_left)) {
      break;
    }
    if (!runs.empty() && continues(runs.back(), *page)) {
      runs.back().length += page->at.bytes_left;
    } else if (runs.size() < kMaxRuns) {
      runs.push_back({page->start, page->at.bytes_left, page->at.writable, page->at.executable});
    } else {
      break;
    }
    at = page->start.plus_wrapping(page->at.bytes_left);
  }
  if (runs.empty()) {
    return fault(FaultCode::NotFound, kImageWindow.raw());
  }
  return runs;
}

Result<std::vector<std::uint8_t>> copy_run(const AddressSpace &space, const ImageRun &run) {
  std::vector<std::uint8_t> bytes(std::min(run.length, kMaxCopyBytes));
  if (const auto done = space.read(run.start, bytes); !done) {
    return tl::unexpected(done.error());
  }
  return bytes;
}

} // namespace outguard::guest
