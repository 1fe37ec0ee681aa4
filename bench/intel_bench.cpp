// What indicators cost: reading a list and building the image, opening it, and one look-up that
// misses or hits, at 10k to 10M indicators, with and without a delta.
#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "intel/intel_compiler.h"
#include "intel/intel_set.h"

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
  static std::map<std::size_t, std::vector<std::uint8_t>> images;
  auto &image = images[count];
  if (image.empty()) {
    image = compile(make_feed(count)).image;
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
  state.counters["image_bytes"] = static_cast<double>(image.size());
  state.counters["bytes_each"] =
      static_cast<double>(image.size()) /
      static_cast<double>(IntelImage::open(image).value().indicator_count());
}

void verify(benchmark::State &state) {
  const auto image = IntelImage::open(image_of(size_argument(state))).value();
  for (auto _ : state) {
    benchmark::DoNotOptimize(image.verify());
  }
}

constexpr Seconds kNow = 1'700'000'000;
constexpr std::size_t kQueries = 1 << 16;

IntelSet::Image shared(const std::vector<std::uint8_t> &bytes) {
  return std::make_shared<const IntelImage>(IntelImage::open(bytes).value());
}

/// The image alone, or with a delta of a hundred.
IntelSet set_of(benchmark::State &state, bool with_delta = false) {
  static const auto kDelta = compile(make_feed(100)).image;
  return IntelSet(shared(image_of(size_argument(state))), with_delta ? shared(kDelta) : nullptr);
}

/// One look-up a round; says how many of them matched.
template <class Query, class Look>
void run(benchmark::State &state, const std::vector<Query> &queries, const Look &look) {
  std::size_t i = 0, matches = 0;
  for (auto _ : state) {
    look(queries[i++ % queries.size()], [&](IndicatorId) { ++matches; });
  }
  state.counters["matches"] =
      benchmark::Counter(static_cast<double>(matches), benchmark::Counter::kAvgIterations);
}

/// Lines of the feed that begin so, in an order that no cache foresees.
std::vector<std::string> listed(std::size_t count, std::string_view begin) {
  const auto feed = make_feed(count);
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < feed.size();) {
    const auto end = feed.find('\n', at);
    if (std::string_view(feed).substr(at).starts_with(begin)) {
      lines.push_back(feed.substr(at, end - at));
    }
    at = end + 1;
  }
  std::mt19937 random(3); // NOLINT(cert-msc51-cpp)
  std::shuffle(lines.begin(), lines.end(), random);
  lines.resize(std::min(lines.size(), kQueries));
  return lines;
}

void look_up_addresses(benchmark::State &state, const std::vector<IpAddress> &queries,
                       bool with_delta) {
  const auto set = set_of(state, with_delta);
  run(state, queries,
      [&](const IpAddress &query, const auto &tell) { set.match_address(query, kNow, tell); });
}

std::vector<IpAddress> random_addresses() {
  std::mt19937 random(2); // NOLINT(cert-msc51-cpp)
  std::vector<IpAddress> queries(kQueries);
  for (auto &query : queries) {
    const auto raw = static_cast<std::uint32_t>(random());
    std::memcpy(query.bytes.data(), &raw, sizeof raw);
  }
  return queries;
}

void address_miss(benchmark::State &state) {
  look_up_addresses(state, random_addresses(), false);
}
void address_miss_delta(benchmark::State &state) {
  look_up_addresses(state, random_addresses(), true);
}
void address_hit(benchmark::State &state) {
  std::vector<IpAddress> queries;
  for (const auto &line : listed(size_argument(state), "1")) {
    if (const auto address = IpAddress::parse(line)) {
      queries.push_back(*address);
    }
  }
  look_up_addresses(state, queries, false);
}

void domain(benchmark::State &state, const std::vector<std::string> &queries,
            bool with_delta = false) {
  const auto set = set_of(state, with_delta);
  run(state, queries,
      [&](const std::string &query, const auto &tell) { set.match_domain(query, kNow, tell); });
}

std::vector<std::string> other_names() {
  std::vector<std::string> queries;
  for (std::size_t i = 0; i < kQueries; ++i) {
    queries.push_back("www.host" + std::to_string(i * 7919) + ".example" + std::to_string(i % 100) +
                      ".net");
  }
  return queries;
}

void domain_miss(benchmark::State &state) {
  domain(state, other_names());
}
void domain_miss_delta(benchmark::State &state) {
  domain(state, other_names(), true);
}
void domain_hit(benchmark::State &state) {
  auto queries = listed(size_argument(state), "host");
  for (auto &query : queries) {
    query.insert(0, "www.");
  }
  domain(state, queries);
}

void url(benchmark::State &state, const std::vector<std::string> &queries) {
  const auto set = set_of(state);
  run(state, queries,
      [&](const std::string &query, const auto &tell) { set.match_url(query, kNow, tell); });
}
void url_miss(benchmark::State &state) {
  auto queries = other_names();
  for (auto &query : queries) {
    query.insert(0, "http://").append("/some/path?query=1");
  }
  url(state, queries);
}
void url_hit(benchmark::State &state) {
  url(state, listed(size_argument(state), "http"));
}

void ja4_miss(benchmark::State &state) {
  const auto set = set_of(state);
  std::vector<std::string> queries;
  for (std::size_t i = 0; i < kQueries; ++i) {
    queries.push_back("t13d1516h2_8daaf6152771_" + std::to_string(100'000'000'000 + i));
  }
  run(state, queries, [&](const std::string &query, const auto &tell) {
    set.match_fingerprint(IndicatorType::Ja4, query, kNow, tell);
  });
}

void sizes(benchmark::internal::Benchmark *bench) {
  for (const std::int64_t size : {10'000, 1'000'000, 10'000'000}) {
    bench->Arg(size);
  }
}

BENCHMARK(build)->Arg(10'000)->Arg(1'000'000)->Iterations(1)->Unit(benchmark::kMillisecond);
BENCHMARK(open)->Apply(sizes);
BENCHMARK(verify)->Apply(sizes)->Unit(benchmark::kMillisecond);
BENCHMARK(address_miss)->Apply(sizes);
BENCHMARK(address_miss_delta)->Apply(sizes);
BENCHMARK(address_hit)->Apply(sizes);
BENCHMARK(domain_miss)->Apply(sizes);
BENCHMARK(domain_miss_delta)->Apply(sizes);
BENCHMARK(domain_hit)->Apply(sizes);
BENCHMARK(url_miss)->Apply(sizes);
BENCHMARK(url_hit)->Apply(sizes);
BENCHMARK(ja4_miss)->Apply(sizes);

} // namespace
