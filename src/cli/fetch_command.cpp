// intel fetch: one feed over HTTP(S), fetched once, as the supervisor would.
#include <algorithm>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "base/printable.h"
#include "cli/commands.h"
#include "cli/problems.h"
#include "launch/feed_source.h"
#include "store/fetch_json.h"

namespace outguard::cli {

namespace {

FeedKind kind_of(const std::string &word) {
  return word == "taxii" ? FeedKind::Taxii : word == "misp" ? FeedKind::Misp : FeedKind::File;
}

std::uint64_t nanoseconds_of(unsigned seconds) {
  return std::uint64_t{seconds} * 1'000'000'000;
}

Result<FetchFeed> make_request(const FetchOptions &options) {
  launch::FeedSource source;
  source.url = options.url;
  source.kind = kind_of(options.kind);
  source.key_file = options.key_file;
  source.key_variable = options.key_variable;
  source.ca_file = options.ca_file;
  source.proxy = options.proxy;
  return launch::request_of(source).map([&](FetchFeed request) {
    auto &limits = request.limits;
    limits.max_bytes = std::min(options.max_bytes, limits.max_bytes);
    limits.max_pages = options.max_pages;
    limits.attempts = options.attempts;
    limits.total_ns = nanoseconds_of(options.timeout);
    limits.stall_ns = nanoseconds_of(options.stall);
    limits.connect_ns = std::min(limits.connect_ns, limits.total_ns);
    return request;
  });
}

/// With a state folder as the supervisor does it; else all is fetched, and nothing kept.
Result<launch::RefreshedFeed> fetch(FetchFeed request, const std::string &state) {
  if (!state.empty()) {
    launch::FeedCache cache(state);
    return launch::refresh(std::move(request), cache);
  }
  return launch::fetch_feed(request, {}).map([](launch::FetchedFeed fetched) {
    return launch::RefreshedFeed{std::move(fetched), {}};
  });
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
  const auto kind = request->kind;
  const auto refreshed = fetch(std::move(*request), options.state);
  if (!refreshed) {
    return report(refreshed.error());
  }
  const auto &answer = refreshed->fetched.answer;
  const bool failed = answer.status == FetchStatus::Failed;
  auto file = refreshed->path;
  if (!options.file.empty() && answer.status == FetchStatus::New) {
    if (const auto saved = save(refreshed->fetched, options.file); !saved) {
      return report(saved.error());
    }
    file = options.file;
  }
  if (common.format == Format::Json) {
    print_line(store::fetch_json(without_query(options.url), kind, answer, file));
  } else {
    print_outcome(options, answer, file);
  }
  return failed ? Exit::Failed : answer.skipped != 0 ? Exit::Partial : Exit::Ok;
}

} // namespace outguard::cli
