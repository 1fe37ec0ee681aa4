// Runs the guest fuzzer's own mutator over a fixed sequence of inputs: image K of seed S is the
// same on every machine. Prints one JSON object; ends with 1 after any crash, hang or slow scan.
//
//   guest_campaign [--images N] [--seed S] [--first K] [--workers W]
//
// Workers are processes, so that a crash costs one image and is told with its number:
// `--first K --images 1` shows it again.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size);
/// Of the inputs since the last call: the slowest call of each kind, nanoseconds of processor time.
std::map<std::string, std::uint64_t> take_scan_times();

namespace {

constexpr std::uint64_t kSlowNs = 50'000'000;  ///< a scan's worst case
constexpr std::uint64_t kDoubtNs = 20'000'000; ///< measured again: the machine has other work, too
constexpr int kRepeats = 3;
constexpr int kHangSeconds = 20; ///< of processor time, for all calls on one image
constexpr std::size_t kMostWorkers = 64, kMostNames = 32, kNameBytes = 24, kMostTold = 16;

struct Worst {
  std::array<char, kNameBytes> name;
  std::uint64_t nanoseconds, image;
};
/// In memory that parent and workers share; each worker writes its own.
struct Progress {
  std::atomic<std::uint64_t> image, done, slow;
  std::array<Worst, kMostNames> worst;
};

struct Random { // splitmix64
  std::uint64_t state;
  std::uint64_t operator()() {
    std::uint64_t z = state += 0x9e37'79b9'7f4a'7c15;
    z = (z ^ z >> 30) * 0xbf58'476d'1ce4'e5b9;
    z = (z ^ z >> 27) * 0x94d0'49bb'1331'11eb;
    return z ^ z >> 31;
  }
};

/// Some 16 changes at most, most often few: a guest that lies about everything is soon given up.
std::vector<std::uint8_t> input_of(std::uint64_t seed, std::uint64_t image) {
  Random random{seed ^ image * 0xd129'0d3a'91af'3c55};
  const std::uint64_t changes = 1 + (random() % 16) * (random() % 16) / 15;
  std::vector<std::uint8_t> bytes(2 + changes * 7); // a change takes 6, or 14
  for (std::uint8_t &byte : bytes) {
    byte = static_cast<std::uint8_t>(random());
  }
  return bytes;
}

void note(Progress &progress, const std::string &name, std::uint64_t nanoseconds,
          std::uint64_t image) {
  for (Worst &worst : progress.worst) {
    if (worst.name[0] == 0) {
      std::strncpy(worst.name.data(), name.c_str(), kNameBytes - 1);
    }
    if (name == worst.name.data()) {
      if (nanoseconds > worst.nanoseconds) {
        worst.nanoseconds = nanoseconds;
        worst.image = image;
      }
      return;
    }
  }
  std::abort(); // more kinds of calls than there is room for
}

std::uint64_t slowest(const std::map<std::string, std::uint64_t> &times) {
  std::uint64_t most = 0;
  for (const auto &[name, time] : times) {
    most = std::max(most, time);
  }
  return most;
}

void run(std::uint64_t seed, std::uint64_t image, Progress &progress) {
  const auto input = input_of(seed, image);
  LLVMFuzzerTestOneInput(input.data(), input.size());
  auto times = take_scan_times();
  for (int again = 1; again < kRepeats && slowest(times) > kDoubtNs; ++again) {
    LLVMFuzzerTestOneInput(input.data(), input.size());
    for (const auto &[name, time] : take_scan_times()) {
      std::uint64_t &least = times[name];
      least = std::min(least, time);
    }
  }
  if (slowest(times) > kSlowNs) {
    ++progress.slow;
  }
  for (const auto &[name, time] : times) {
    note(progress, name, time, image);
  }
}

void limit_processor_time() {
  const itimerval time{{0, 0}, {kHangSeconds, 0}};
  setitimer(ITIMER_PROF, &time, nullptr); // SIGPROF ends the process
}

[[noreturn]] void work(std::uint64_t seed, std::uint64_t from, std::uint64_t to,
                       std::uint64_t stride, Progress &progress) {
  for (std::uint64_t image = from; image < to; image += stride) {
    progress.image = image;
    limit_processor_time();
    run(seed, image, progress);
    ++progress.done;
  }
  _exit(0);
}

struct Outcome {
  std::uint64_t crashes = 0, hangs = 0;
  std::vector<std::uint64_t> images; ///< the first few that ended a worker
};

/// Starts a worker again behind each image that ended it.
Outcome run_all(std::uint64_t seed, std::uint64_t first, std::uint64_t images,
                std::uint64_t workers, Progress *progress) {
  Outcome outcome;
  std::map<pid_t, std::uint64_t> running;
  const auto start = [&](std::uint64_t worker, std::uint64_t from) {
    const pid_t child = fork();
    if (child == 0) {
      work(seed, from, first + images, workers, progress[worker]);
    }
    running[child] = worker;
  };
  for (std::uint64_t worker = 0; worker < workers; ++worker) {
    start(worker, first + worker);
  }
  while (!running.empty()) {
    int status = 0;
    const pid_t child = wait(&status);
    const auto found = running.find(child);
    if (found == running.end()) {
      continue;
    }
    const std::uint64_t worker = found->second;
    running.erase(found);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
      continue;
    }
    ++(WIFSIGNALED(status) && WTERMSIG(status) == SIGPROF ? outcome.hangs : outcome.crashes);
    if (outcome.images.size() < kMostTold) {
      outcome.images.push_back(progress[worker].image);
    }
    start(worker, progress[worker].image + workers);
  }
  return outcome;
}

/// Of all workers: what a busy machine does not distort.
double processor_seconds() {
  rusage used{};
  getrusage(RUSAGE_CHILDREN, &used);
  const auto seconds = [](const timeval &time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

std::uint64_t option(int argc, char **argv, const char *name, std::uint64_t fallback) {
  for (int index = 1; index + 1 < argc; ++index) {
    if (std::strcmp(argv[index], name) == 0) {
      return std::strtoull(argv[index + 1], nullptr, 0);
    }
  }
  return fallback;
}

} // namespace

int main(int argc, char **argv) {
  const std::uint64_t images = option(argc, argv, "--images", 20'000);
  const std::uint64_t seed = option(argc, argv, "--seed", 1);
  const std::uint64_t first = option(argc, argv, "--first", 0);
  const auto processors = static_cast<std::uint64_t>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
  const std::uint64_t workers =
      std::clamp<std::uint64_t>(option(argc, argv, "--workers", processors), 1, kMostWorkers);
  void *shared = mmap(nullptr, sizeof(Progress) * workers, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) {
    std::perror("guest_campaign: mmap");
    return 2;
  }
  auto *progress = static_cast<Progress *>(shared);
  const auto start = std::chrono::steady_clock::now();
  const Outcome outcome = run_all(seed, first, images, workers, progress);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;

  std::uint64_t done = 0;
  std::uint64_t slow = 0;
  std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> worst; // name -> time, image
  for (std::uint64_t worker = 0; worker < workers; ++worker) {
    done += progress[worker].done;
    slow += progress[worker].slow;
    for (const Worst &each : progress[worker].worst) {
      if (each.name[0] != 0) {
        auto &most = worst[each.name.data()];
        most = std::max(most, {each.nanoseconds, each.image});
      }
    }
  }
  std::printf("{\"images\": %llu, \"seed\": %llu, \"seconds\": %.1f, \"cpu_seconds\": %.1f, "
              "\"per_second\": %.0f, "
              "\"crashes\": %llu, \"hangs\": %llu, \"slow\": %llu, \"worst_ms\": {",
              static_cast<unsigned long long>(done), static_cast<unsigned long long>(seed),
              seconds.count(), processor_seconds(), static_cast<double>(done) / seconds.count(),
              static_cast<unsigned long long>(outcome.crashes),
              static_cast<unsigned long long>(outcome.hangs),
              static_cast<unsigned long long>(slow));
  const char *separator = "";
  for (const auto &[name, most] : worst) {
    std::printf("%s\"%s\": [%.2f, %llu]", separator, name.c_str(),
                static_cast<double>(most.first) / 1e6,
                static_cast<unsigned long long>(most.second));
    separator = ", ";
  }
  std::printf("}, \"failed_images\": [");
  separator = "";
  for (const std::uint64_t image : outcome.images) {
    std::printf("%s%llu", separator, static_cast<unsigned long long>(image));
    separator = ", ";
  }
  std::printf("]}\n");
  return outcome.crashes + outcome.hangs + slow == 0 ? 0 : 1;
}
