// intel fetch: one feed over HTTP(S), fetched once, as the supervisor would.
#include <algorithm>
#include <cstdlib>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "base/printable.h"
#include "cli/commands.h"
#include "cli/problems.h"
#include "launch/feed_cache.h"
#include "launch/feed_fetcher.h"
#include "launch/key_file.h"
#include "store/fetch_json.h"

namespace outguard::cli {

namespace {

constexpr std::size_t kMaxCaBytes = std::size_t{128} << 10; ///< it travels in one message

FeedKind kind_of(const std::string &word) {
  return word == "taxii" ? FeedKind::Taxii : word == "misp" ? FeedKind::Misp : FeedKind::File;
}

std::uint64_t nanoseconds_of(unsigned seconds) {
  return std::uint64_t{seconds} * 1'000'000'000;
}

Result<FetchFeed> make_request(const FetchOptions &options) {
  FetchFeed request;
  request.url = options.url;
  request.kind = kind_of(options.kind);
  request.proxy = options.proxy;
  request.limits.max_bytes = std::min(options.max_bytes, request.limits.max_bytes);
  request.limits.max_pages = options.max_pages;
  request.limits.attempts = options.attempts;
  request.limits.total_ns = nanoseconds_of(options.timeout);
  request.limits.stall_ns = nanoseconds_of(options.stall);
  request.limits.connect_ns = std::min(request.limits.connect_ns, request.limits.total_ns);
  if (!options.ca_file.empty()) {
    auto pem = launch::read_small_file(options.ca_file, kMaxCaBytes);
    if (!pem) {
      return tl::unexpected(pem.error());
    }
    request.ca_pem = std::move(*pem);
  }
  Result<std::vector<std::string>> keys;
  if (!options.key_file.empty()) {
    keys = launch::read_key_file(options.key_file, request.kind);
  } else if (!options.key_variable.empty()) {
    const char *value = std::getenv(options.key_variable.c_str());
    keys = value == nullptr ? fail(ErrorCode::NotFound, "no such variable: " + options.key_variable)
                            : launch::parse_key(value, request.kind, options.key_variable);
  }
  if (!keys) {
    return tl::unexpected(keys.error());
  }
  request.key_headers = std::move(*keys);
  return request;
}

Result<void> save(const launch::FetchedFeed &fetched, const std::string &path) {
  const auto temporary = path + ".new";
  const Fd file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file) {
    return fail_errno(temporary);
  }
  off_t offset = 0;
  while (static_cast<std::uint64_t>(offset) < fetched.answer.bytes) {
    if (::sendfile(file.get(), fetched.body.get(), &offset,
                   fetched.answer.bytes - static_cast<std::uint64_t>(offset)) <= 0) {
      return fail_errno(temporary);
    }
  }
  if (::fsync(file.get()) != 0 || ::rename(temporary.c_str(), path.c_str()) != 0) {
    return fail_errno(path);
  }
  return {};
}

/// A key may stand in a URL's query.
std::string without_query(const std::string &url) {
  return to_printable(url.substr(0, url.find_first_of("?#")));
}

void print_outcome(const FetchOptions &options, const FeedFetched &answer,
                   const std::string &file) {
  const auto url = without_query(options.url);
  const double seconds = static_cast<double>(answer.elapsed_ns) / 1e9;
  if (answer.status == FetchStatus::Failed) {
    return complain(fmt::format("{}: {} ({})", url, answer.reason, to_string(answer.problem)));
  }
  if (answer.status == FetchStatus::Unchanged) {
    return print_line(fmt::format("{}: unchanged, asked in {:.1f} s", url, seconds));
  }
  auto text = fmt::format("{}: new, {} bytes ({} on the wire) in {:.1f} s, {} requests", url,
                          answer.bytes, answer.wire_bytes, seconds, answer.requests);
  if (options.kind != "file") {
    text += fmt::format("; {} items, {} of them new", answer.items, answer.new_items);
  }
  if (answer.skipped != 0) {
    text += fmt::format("; {} events could not be had", answer.skipped);
  }
  if (!file.empty()) {
    text += "; in " + to_printable(file);
  }
  print_line(text);
}

} // namespace

Exit intel_fetch(const Common &common, const FetchOptions &options) {
  auto request = make_request(options);
  if (!request) {
    return report(request.error());
  }
  launch::FeedCache cache(options.state);
  Fd previous;
  if (!options.state.empty()) {
    if (auto copy = cache.find(request->url, request->kind)) {
      request->mark = copy->mark;
      previous = std::move(copy->body);
    }
  }
  const auto fetched = launch::fetch_feed(*request, previous);
  if (!fetched) {
    return report(fetched.error());
  }
  const auto &answer = fetched->answer;
  const bool failed = answer.status == FetchStatus::Failed;
  std::string file;
  if (!options.state.empty() && !failed) {
    const auto kept = cache.keep(*request, *fetched);
    if (!kept) {
      return report(kept.error());
    }
    file = *kept;
  }
  if (!options.file.empty() && answer.status == FetchStatus::New) {
    if (const auto saved = save(*fetched, options.file); !saved) {
      return report(saved.error());
    }
    file = options.file;
  }
  if (common.format == Format::Json) {
    print_line(store::fetch_json(without_query(options.url), request->kind, answer, file));
  } else {
    print_outcome(options, answer, file);
  }
  return failed ? Exit::Failed : answer.skipped != 0 ? Exit::Partial : Exit::Ok;
}

} // namespace outguard::cli
