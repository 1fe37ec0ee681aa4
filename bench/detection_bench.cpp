// A capture through the whole packet path with intelligence, flow table, reassembly and EVE lines,
// as `outguard replay -o json` does it, and what that cost of processor time.
//
//   detection_bench replay IMAGE CAPTURE EVE
//     In a sandboxed sensor, as the product runs it: the processor time of the sensor from the
//     first packet to the last answer (it has mapped the image before), and of this process, which
//     makes the EVE lines.
//   detection_bench inside IMAGE CAPTURE EVE
//     The same in this process, for a profiler: callgrind with --toggle-collect='*run_capture*'.
//   detection_bench read CAPTURE
//     No more than handing the packets out, in this process.
//   detection_bench reload|map IMAGE ROUNDS
//     From UseIntel to its answer in a running sensor. reload: the image is read whole before, as
//     of a file of a disk; map: one just compiled, only mapped.
//
// Prints one JSON object.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "facts/finding.h"
#include "guest/packets/packet_pipeline.h"
#include "guest/packets/pcap_file_source.h"
#include "guest/packets/stage_clock.h"
#include "guest/protocols/digest.h"
#include "launch/sensor_process.h"
#include "sensor/guest_view.h"
#include "sensor/mapped_file.h"
#include "sensor/match_sink.h"
#include "sensor/taps.h"
#include "store/eve_flow.h"
#include "store/json_lines.h"

namespace {

using namespace outguard;

constexpr std::chrono::hours kPatience{1};
constexpr std::chrono::milliseconds kBetweenLooks{20}; ///< as `outguard replay`

[[noreturn]] void give_up(const std::string &why) {
  std::fprintf(stderr, "detection_bench: %s\n", why.c_str());
  std::exit(1);
}

Fd open_file(const char *path) {
  Fd file(::open(path, O_RDONLY | O_CLOEXEC));
  if (!file) {
    give_up(std::string(path) + " cannot be opened");
  }
  return file;
}

class EveFile {
public:
  EveFile(const char *path, std::string capture)
      : file_(std::fopen(path, "w")), capture_(std::move(capture)) {
    if (file_ == nullptr) {
      give_up("the EVE file cannot be written");
    }
  }
  ~EveFile() { std::fclose(file_); }
  EveFile(const EveFile &) = delete;
  EveFile &operator=(const EveFile &) = delete;

  void take(Report report) {
    if (auto *match = std::get_if<MatchSeen>(&report)) {
      Finding finding;
      finding.vm.name = GuestText(capture_);
      finding.match = std::move(*match);
      finding.signature = "indicator matched";
      finding.category = "threat-intelligence";
      write(store::eve_alert(finding, {}));
      ++alerts;
    } else if (const auto *ended = std::get_if<MatchedFlowEnded>(&report)) {
      VmIdentity vm;
      vm.name = GuestText(capture_);
      write(store::eve_flow(*ended, vm));
    }
  }
  std::uint64_t alerts = 0;

private:
  void write(const std::string &line) {
    std::fwrite(line.data(), 1, line.size(), file_);
    std::fputc('\n', file_);
  }
  std::FILE *file_;
  std::string capture_;
};

/// The first field of /proc/PID/schedstat: time on a processor, exact.
std::int64_t processor_ns(pid_t pid) {
  std::int64_t ns = 0;
  std::ifstream("/proc/" + std::to_string(pid) + "/schedstat") >> ns;
  return ns;
}
/// Of the whole of this process, all threads.
std::int64_t own_processor_ns() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

/// "VmRSS:" or "VmHWM:", in kB.
long memory_kb(pid_t pid, std::string_view field) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field)) {
      return std::atol(line.c_str() + field.size());
    }
  }
  return 0;
}

pid_t only_child() {
  std::ifstream children("/proc/self/task/" + std::to_string(getpid()) + "/children");
  pid_t child = 0;
  children >> child;
  return child;
}

launch::SensorProcess started_sensor() {
  auto sensor = launch::SensorProcess::start(launch::SensorRole::Guard);
  if (!sensor) {
    give_up(sensor.error().message);
  }
  return std::move(*sensor);
}

/// A file of a disk is read whole first, one just compiled is not.
enum class Image : std::uint8_t { OfDisk, Compiled };

void use_image(launch::SensorProcess &sensor, const Fd &image, Image kind = Image::OfDisk) {
  const int raw = image.get();
  UseIntel request;
  request.verify = kind == Image::OfDisk;
  if (const auto used = sensor.call(request, {&raw, 1}, kPatience); !used) {
    give_up(used.error().message);
  }
}

void print(const CountersSeen &counters, std::int64_t sensor_ns, std::int64_t eve_ns,
           std::uint64_t alerts, long peak_kb) {
  std::string dropped, other;
  const auto add = [](std::string &out, const NamedCount &count) {
    out += (out.empty() ? "\"" : ", \"") + count.name + "\": " + std::to_string(count.value);
  };
  for (const auto &count : counters.dropped) {
    add(dropped, count);
  }
  for (const auto &count : counters.other) {
    add(other, count);
  }
  std::printf(R"({"packets": %llu, "processed": %llu, "sensor_ns": %lld, "eve_ns": %lld, )"
              R"("alerts": %llu, "peak_kb": %ld, "dropped": {%s}, "other": {%s}})"
              "\n",
              static_cast<unsigned long long>(counters.seen),
              static_cast<unsigned long long>(counters.processed),
              static_cast<long long>(sensor_ns), static_cast<long long>(eve_ns),
              static_cast<unsigned long long>(alerts), peak_kb, dropped.c_str(), other.c_str());
}

int replay(const char *image, const char *capture, const char *eve_path) {
  const Fd packets = open_file(capture);
  auto sensor = started_sensor();
  use_image(sensor, open_file(image));
  const pid_t pid = only_child();
  EveFile eve(eve_path, capture);
  const auto sensor_before = processor_ns(pid);
  const auto own_before = own_processor_ns();
  const int raw = packets.get();
  auto done = std::async(std::launch::async, [&] {
    return sensor.call(ReplayCapture{capture}, {&raw, 1}, kPatience);
  });
  const auto take_waiting = [&] {
    for (auto event = sensor.next_event({}); event && *event; event = sensor.next_event({})) {
      eve.take(std::move(**event));
    }
  };
  while (done.wait_for(kBetweenLooks) != std::future_status::ready) {
    take_waiting();
  }
  take_waiting();
  const auto answer = done.get();
  if (!answer || std::get_if<ReplayDone>(&*answer) == nullptr) {
    give_up(answer ? "the sensor did not answer with its counters" : answer.error().message);
  }
  const auto sensor_ns = processor_ns(pid) - sensor_before;
  print(std::get<ReplayDone>(*answer).counters, sensor_ns, own_processor_ns() - own_before,
        eve.alerts, memory_kb(pid, "VmHWM:"));
  return 0;
}

struct KeepingOutlet final : sensor::Outlet {
  void publish(Report report) override { reports.push_back(std::move(report)); }
  std::vector<Report> reports;
};

[[gnu::noinline]] ReplayDone run_capture(sensor::Taps &taps, const char *name, Fd capture) {
  guest::StageClock clock;
  return taps.replay(name, std::move(capture), clock, [](std::uint64_t, std::uint64_t) {});
}

int inside(const char *image, const char *capture, const char *eve_path) {
  guest::prepare_digests();
  auto file = sensor::MappedFile::open(open_file(image));
  if (!file) {
    give_up(file.error().message);
  }
  auto opened = intel::IntelImage::open(file->bytes());
  if (!opened) {
    give_up(opened.error().message);
  }
  KeepingOutlet outlet;
  sensor::GuestView view;
  sensor::MatchSink sink(view, outlet);
  sink.use(std::make_shared<intel::IntelSet>(std::make_shared<const intel::IntelImage>(*opened)));
  sensor::Taps taps(sink);
  const auto before = own_processor_ns();
  const auto done = run_capture(taps, capture, open_file(capture));
  const auto ran = own_processor_ns();
  EveFile eve(eve_path, capture);
  for (auto &report : outlet.reports) {
    eve.take(std::move(report));
  }
  print(done.counters, ran - before, own_processor_ns() - ran, eve.alerts,
        memory_kb(getpid(), "VmHWM:"));
  return 0;
}

int read_only(const char *capture) {
  guest::PcapFileSource source(open_file(capture));
  const auto before = own_processor_ns();
  for (auto batch = source.next(); batch && !batch->empty(); batch = source.next()) {
  }
  std::printf("{\"packets\": %llu, \"ns\": %lld}\n",
              static_cast<unsigned long long>(source.counters().handed_out),
              static_cast<long long>(own_processor_ns() - before));
  return 0;
}

int reload(const char *image, int rounds, Image kind) {
  const Fd file = open_file(image);
  auto sensor = started_sensor();
  static_cast<void>(launch::get_counters(sensor)); // it has started when it answers
  const pid_t pid = only_child();
  const auto empty_kb = memory_kb(pid, "VmRSS:");
  std::vector<double> took_us;
  for (int i = 0; i < rounds; ++i) {
    const auto start = monotonic_now();
    use_image(sensor, file, kind);
    took_us.push_back(static_cast<double>((monotonic_now() - start).count()) / 1e3);
  }
  const double first_us = took_us.front();
  std::sort(took_us.begin(), took_us.end());
  std::printf(R"({"reload_us": {"first": %.1f, "p50": %.1f, "most": %.1f}, "rss_kb_before": %ld, )"
              R"("rss_kb": %ld, "peak_kb": %ld})"
              "\n",
              first_us, took_us[took_us.size() / 2], took_us.back(), empty_kb,
              memory_kb(pid, "VmRSS:"), memory_kb(pid, "VmHWM:"));
  return 0;
}

} // namespace

int main(int argc, char **argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  if (mode == "replay" && argc == 5) {
    return replay(argv[2], argv[3], argv[4]);
  }
  if (mode == "inside" && argc == 5) {
    return inside(argv[2], argv[3], argv[4]);
  }
  if (mode == "read" && argc == 3) {
    return read_only(argv[2]);
  }
  if ((mode == "reload" || mode == "map") && argc == 4) {
    return reload(argv[2], std::max(1, std::atoi(argv[3])),
                  mode == "map" ? Image::Compiled : Image::OfDisk);
  }
  std::fputs(
      "detection_bench replay|inside IMAGE CAPTURE EVE, read CAPTURE, reload|map IMAGE ROUNDS\n",
      stderr);
  return 2;
}
