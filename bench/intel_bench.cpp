// What indicators cost: reading a list and building the image, opening it, and one look-up that
// misses or hits, at 10k, 100k and 1M indicators.
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "intel/intel_compiler.h"
#include "intel/intel_image.h"

namespace {

using namespace outguard;
using namespace outguard::intel;

std::string address_text(std::uint32_t raw) {
  return std::to_string(raw >> 24 | 1) + "." + std::to_string(raw >> 16 & 255) + "." +
         std::to_string(raw >> 8 & 255) + "." + std::to_string(raw & 255);
}

/// 60 % domains, 30 % addresses, 5 % networks of 16 prefix lengths, 5 % URLs.
std::string make_feed(std::size_t count) {
  std::mt19937 random(1); // NOLINT(cert-msc51-cpp): the same feed each time
  std::string feed;
  for (std::size_t i = 0; i < count; ++i) {
    const auto number = static_cast<std::uint32_t>(random());
    const auto kind = i % 20;
    if (kind < 12) {
      feed += "host" + std::to_string(number) + ".bad" + std::to_string(i % 977) + ".com\n";
    } else if (kind < 18) {
      feed += address_text(number) + "\n";
    } else if (kind < 19) {
      const auto prefix = 16 + i / 20 % 16;
      const auto network = number & (UINT32_MAX << (32 - prefix));
      feed += address_text(network | 0x01000000) + "/" + std::to_string(prefix) + "\n";
    } else {
      feed += "http://h" + std::to_string(number) + ".com/p/" + std::to_string(i) + "\n";
    }
  }
  return feed;
}

IntelCompiler::Compiled compile(const std::string &feed) {
  IntelCompiler compiler;
  const auto *raw = reinterpret_cast<const std::uint8_t *>(feed.data());
  (void)compiler.add_feed("feed", {raw, feed.size()});
  return compiler.compile();
}

const std::vector<std::uint8_t> &image_of(std::size_t count) {
  static std::vector<std::uint8_t> image;
  static std::size_t made = 0;
  if (made != count) {
    image = compile(make_feed(count)).image;
    made = count;
  }
  return image;
}

std::size_t size_argument(const benchmark::State &state) {
  return static_cast<std::size_t>(state.range(0));
}

void build(benchmark::State &state) {
  const auto feed = make_feed(size_argument(state));
  std::size_t bytes = 0;
  for (auto _ : state) {
    const auto compiled = compile(feed);
    bytes = compiled.image.size();
    state.counters["indicators"] = static_cast<double>(compiled.report.indicators);
  }
  state.counters["image_bytes"] = static_cast<double>(bytes);
}

void open(benchmark::State &state) {
  const auto &image = image_of(size_argument(state));
  for (auto _ : state) {
    benchmark::DoNotOptimize(IntelImage::open(image).value().indicator_count());
  }
}

constexpr std::size_t kQueries = 1 << 14;

void address_miss(benchmark::State &state) {
  const auto image = IntelImage::open(image_of(size_argument(state))).value();
  std::mt19937 random(2); // NOLINT(cert-msc51-cpp)
  std::vector<IpAddress> queries(kQueries);
  for (auto &query : queries) {
    const auto raw = static_cast<std::uint32_t>(random());
    std::memcpy(query.bytes.data(), &raw, sizeof raw);
  }
  std::size_t i = 0, matches = 0;
  for (auto _ : state) {
    image.match_address(queries[i++ % kQueries], [&](IndicatorId) { ++matches; });
  }
  benchmark::DoNotOptimize(matches);
}

void domain(benchmark::State &state, const std::vector<std::string> &queries) {
  const auto image = IntelImage::open(image_of(size_argument(state))).value();
  std::size_t i = 0, matches = 0;
  for (auto _ : state) {
    image.match_domain(queries[i++ % queries.size()], [&](IndicatorId) { ++matches; });
  }
  state.counters["matches"] =
      benchmark::Counter(static_cast<double>(matches), benchmark::Counter::kAvgIterations);
}

void domain_miss(benchmark::State &state) {
  std::vector<std::string> queries;
  for (std::size_t i = 0; i < kQueries; ++i) {
    queries.push_back("www.host" + std::to_string(i * 7919) + ".example" + std::to_string(i % 100) +
                      ".net");
  }
  domain(state, queries);
}

void domain_hit(benchmark::State &state) {
  std::vector<std::string> queries;
  const auto feed = make_feed(kQueries);
  for (std::size_t at = 0; at < feed.size();) {
    const auto line = feed.substr(at, feed.find('\n', at) - at);
    at += line.size() + 1;
    if (line.starts_with("host")) {
      queries.push_back("www." + line);
    }
  }
  domain(state, queries);
}

void url_miss(benchmark::State &state) {
  const auto image = IntelImage::open(image_of(size_argument(state))).value();
  std::size_t matches = 0;
  for (auto _ : state) {
    image.match_url("http://www.example.com/some/path?query=1", [&](IndicatorId) { ++matches; });
  }
  benchmark::DoNotOptimize(matches);
}

constexpr std::int64_t kSizes[] = {10'000, 100'000, 1'000'000};
void sizes(benchmark::internal::Benchmark *bench) {
  for (const auto size : kSizes) {
    bench->Arg(size);
  }
}

BENCHMARK(build)->Apply(sizes)->Unit(benchmark::kMillisecond);
BENCHMARK(open)->Apply(sizes)->Unit(benchmark::kMillisecond);
BENCHMARK(address_miss)->Apply(sizes);
BENCHMARK(domain_miss)->Apply(sizes);
BENCHMARK(domain_hit)->Apply(sizes);
BENCHMARK(url_miss)->Apply(sizes);

} // namespace
