#include "fetch/curl_client.h"

#include <algorithm>
#include <array>
#include <cctype>

#include <curl/curl.h>

#include "base/printable.h"

namespace outguard::fetch {

namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr std::size_t kMaxHeaderBytes = std::size_t{256} << 10; ///< of one answer
constexpr std::size_t kMaxHeaderValue = 512; ///< an ETag or a date; longer is not kept
constexpr std::size_t kMaxUrlBytes = 8192;
constexpr std::size_t kMaxReasonBytes = 200;
constexpr std::uint64_t kMaxErrorBody = std::uint64_t{1} << 20; ///< read, so that the line stays

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) {
    return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  });
  return out;
}

std::string cut(const std::string &text) {
  return text.size() <= kMaxReasonBytes ? text : text.substr(0, kMaxReasonBytes) + "...";
}

/// What one exchange gathers; libcurl calls back into it.
struct Exchange {
  HttpSink *sink = nullptr;
  HttpReply reply;
  std::size_t header_bytes = 0;
  std::uint64_t error_body = 0;
  bool header_flood = false;
};

void note_header(Exchange &exchange, std::string_view line) {
  while (!line.empty() && (line.back() == '\r' || line.back() == '\n')) {
    line.remove_suffix(1);
  }
  if (line.starts_with("HTTP/")) { // an interim answer may have come before
    auto &reply = exchange.reply;
    reply.etag.clear();
    reply.last_modified.clear();
    reply.date_added_last.clear();
    return;
  }
  const auto colon = line.find(':');
  if (colon == line.npos) {
    return;
  }
  auto value = line.substr(colon + 1);
  const auto first = value.find_first_not_of(" \t");
  value = first == value.npos ? std::string_view() : value.substr(first);
  if (value.size() > kMaxHeaderValue || !is_printable(value)) {
    return;
  }
  const auto name = lower(line.substr(0, colon));
  const std::pair<std::string_view, std::string HttpReply::*> wanted[] = {
      {"etag", &HttpReply::etag},
      {"last-modified", &HttpReply::last_modified},
      {"x-taxii-date-added-last", &HttpReply::date_added_last}};
  for (const auto &[known, place] : wanted) {
    if (name == known) {
      exchange.reply.*place = value;
    }
  }
}

std::size_t on_header(char *data, std::size_t size, std::size_t count, void *context) {
  auto &exchange = *static_cast<Exchange *>(context);
  const std::size_t bytes = size * count;
  exchange.header_bytes += bytes;
  if (exchange.header_bytes > kMaxHeaderBytes) {
    exchange.header_flood = true;
    return 0;
  }
  note_header(exchange, {data, bytes});
  return bytes;
}

struct Transfer {
  CURL *handle = nullptr;
  Exchange *exchange = nullptr;
};

std::size_t on_body(char *data, std::size_t size, std::size_t count, void *context) {
  const auto &transfer = *static_cast<Transfer *>(context);
  const std::size_t bytes = size * count;
  long status = 0;
  curl_easy_getinfo(transfer.handle, CURLINFO_RESPONSE_CODE, &status);
  auto &exchange = *transfer.exchange;
  if (status < 200 || status > 299) {
    exchange.error_body += bytes;
    return exchange.error_body > kMaxErrorBody ? 0 : bytes;
  }
  return exchange.sink->take({data, bytes}) ? bytes : 0;
}

struct SlistFree {
  void operator()(curl_slist *list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, SlistFree>;

HeaderList header_list(const std::vector<std::string> &headers) {
  HeaderList list;
  for (const auto &header : headers) {
    curl_slist *longer = curl_slist_append(list.get(), header.c_str());
    if (longer == nullptr) {
      return nullptr;
    }
    static_cast<void>(list.release());
    list.reset(longer);
  }
  return list;
}

FetchProblem problem_of(CURLcode code, std::string_view words) {
  switch (code) {
  case CURLE_COULDNT_RESOLVE_HOST:
    return FetchProblem::Resolve;
  case CURLE_COULDNT_RESOLVE_PROXY:
  case CURLE_PROXY:
    return FetchProblem::Proxy;
  case CURLE_COULDNT_CONNECT:
    return FetchProblem::Connect;
  case CURLE_OPERATION_TIMEDOUT:
    return words.starts_with("Operation too slow") ? FetchProblem::Stalled : FetchProblem::Timeout;
  case CURLE_SSL_CONNECT_ERROR:
  case CURLE_PEER_FAILED_VERIFICATION:
  case CURLE_SSL_CACERT_BADFILE:
  case CURLE_SSL_CERTPROBLEM:
  case CURLE_SSL_CIPHER:
  case CURLE_SSL_ISSUER_ERROR:
    return FetchProblem::Tls;
  case CURLE_PARTIAL_FILE:
  case CURLE_RECV_ERROR:
  case CURLE_SEND_ERROR:
  case CURLE_GOT_NOTHING:
    return FetchProblem::CutShort;
  case CURLE_FILESIZE_EXCEEDED:
    return FetchProblem::TooLarge;
  case CURLE_OUT_OF_MEMORY:
  case CURLE_FAILED_INIT:
    return FetchProblem::Local;
  default:
    return FetchProblem::BadAnswer;
  }
}

/// What a finished exchange with this status means; redirects were taken before.
void judge_status(HttpReply &reply) {
  const auto status = reply.status;
  if ((status >= 200 && status <= 299 && status != 206) || status == 304) {
    return;
  }
  reply.reason = "the server answered with status " + std::to_string(status);
  if (status == 429 || (status == 503 && reply.retry_after)) {
    reply.problem = FetchProblem::RateLimited;
  } else if (status >= 500 || status == 408) {
    reply.problem = FetchProblem::ServerFault;
  } else if (status == 401 || status == 403) {
    reply.problem = FetchProblem::Denied;
  } else {
    reply.problem = FetchProblem::HttpStatus;
  }
}

bool is_redirect(std::uint32_t status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

using Url = std::unique_ptr<CURLU, decltype(&curl_url_cleanup)>;

std::string part_of(const Url &url, CURLUPart part, unsigned flags = 0) {
  char *text = nullptr;
  if (curl_url_get(url.get(), part, &text, flags) != CURLUE_OK) {
    return {};
  }
  std::string copy = text;
  curl_free(text);
  return copy;
}

} // namespace

std::optional<HttpUrl> parse_http_url(const std::string &text) {
  const Url url(curl_url(), &curl_url_cleanup);
  const bool plain =
      std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
  if (!url || !plain || text.size() > kMaxUrlBytes ||
      curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK) {
    return std::nullopt;
  }
  HttpUrl parsed;
  parsed.scheme = lower(part_of(url, CURLUPART_SCHEME));
  parsed.host = lower(part_of(url, CURLUPART_HOST));
  parsed.port = part_of(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
  parsed.path = part_of(url, CURLUPART_PATH);
  parsed.query = part_of(url, CURLUPART_QUERY);
  parsed.has_user =
      !part_of(url, CURLUPART_USER).empty() || !part_of(url, CURLUPART_PASSWORD).empty();
  if ((parsed.scheme != "http" && parsed.scheme != "https") || parsed.host.empty()) {
    return std::nullopt;
  }
  parsed.directory = parsed.path.substr(0, parsed.path.rfind('/') + 1);
  return parsed;
}

std::string shown(const std::string &url) {
  const auto parsed = parse_http_url(url);
  return parsed ? cut(to_printable(parsed->origin() + parsed->path)) : "a malformed URL";
}

std::string percent_encoded(std::string_view text) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x80 && std::isalnum(byte) != 0) ||
        std::string_view("-._~").find(c) != std::string_view::npos) {
      out += c;
    } else {
      out += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return out;
}

struct CurlClient::Session {
  explicit Session(const FetchFeed &feed) : request(&feed) {}
  ~Session() { curl_easy_cleanup(handle); }
  Session(const Session &) = delete;
  Session &operator=(const Session &) = delete;

  template <class Value> void set(CURLoption option, Value value) {
    usable = curl_easy_setopt(handle, option, value) == CURLE_OK && usable;
  }
  void configure();
  void configure_request(const HttpRequest &asked, Transfer &transfer, milliseconds left);

  const FetchFeed *request;
  CURL *handle = curl_easy_init();
  bool usable = handle != nullptr;
  std::array<char, CURL_ERROR_SIZE> words{};
};

void CurlClient::Session::configure() {
  const auto &limits = request->limits;
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_FOLLOWLOCATION, 0L); // a key must not follow to another origin
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  set(CURLOPT_ACCEPT_ENCODING, "gzip");
  set(CURLOPT_USERAGENT, "outguard");
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set(CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  set(CURLOPT_PROXY, request->proxy.c_str()); // empty: none, whatever the environment says
  set(CURLOPT_NOPROXY, "");
  set(CURLOPT_CONNECTTIMEOUT_MS,
      static_cast<long>(std::max<std::uint64_t>(limits.connect_ns / 1'000'000, 1)));
  // libcurl's clock of slowness ticks in seconds.
  set(CURLOPT_LOW_SPEED_LIMIT, 1L);
  set(CURLOPT_LOW_SPEED_TIME,
      static_cast<long>(std::max<std::uint64_t>(limits.stall_ns / 1'000'000'000, 1)));
  set(CURLOPT_MAXFILESIZE_LARGE,
      static_cast<curl_off_t>(std::min<std::uint64_t>(limits.max_bytes, std::uint64_t{1} << 40)));
  set(CURLOPT_ERRORBUFFER, words.data());
  set(CURLOPT_HEADERFUNCTION, &on_header);
  set(CURLOPT_WRITEFUNCTION, &on_body);
  if (!request->ca_pem.empty()) {
    curl_blob blob{const_cast<char *>(request->ca_pem.data()), request->ca_pem.size(),
                   CURL_BLOB_NOCOPY};
    set(CURLOPT_CAINFO_BLOB, &blob);
    set(CURLOPT_CAPATH, static_cast<const char *>(nullptr));
    set(CURLOPT_CAINFO, static_cast<const char *>(nullptr));
  }
}

void CurlClient::Session::configure_request(const HttpRequest &asked, Transfer &transfer,
                                            milliseconds left) {
  words.fill('\0');
  set(CURLOPT_URL, asked.url.c_str());
  set(CURLOPT_TIMEOUT_MS, static_cast<long>(std::max<std::int64_t>(left.count(), 1)));
  set(CURLOPT_HEADERDATA, transfer.exchange);
  set(CURLOPT_WRITEDATA, &transfer);
}

Result<void> prepare_curl() {
  if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
    return fail(ErrorCode::SystemFailed, "libcurl could not be started");
  }
  return {};
}

Result<CurlClient> CurlClient::create(const FetchFeed &request) {
  auto session = std::make_unique<Session>(request);
  if (session->usable) {
    session->configure();
  }
  if (!session->usable) {
    return fail(ErrorCode::SystemFailed, "libcurl refuses its settings");
  }
  return CurlClient(std::move(session));
}

CurlClient::CurlClient(std::unique_ptr<Session> session) : session_(std::move(session)) {}
CurlClient::CurlClient(CurlClient &&other) noexcept = default;
CurlClient::~CurlClient() = default;

HttpReply CurlClient::exchange(const HttpRequest &request, HttpSink &sink, MonotonicTime deadline) {
  Exchange exchange;
  exchange.sink = &sink;
  CURL *handle = session_->handle;
  Transfer transfer{handle, &exchange};
  const auto headers = header_list(request.headers);
  session_->configure_request(request, transfer,
                              duration_cast<milliseconds>(deadline - monotonic_now()));
  session_->set(CURLOPT_HTTPHEADER, headers.get());
  if (!session_->usable) {
    return HttpReply::failed(FetchProblem::Local, "libcurl refuses its settings");
  }
  const auto code = curl_easy_perform(handle);
  session_->set(CURLOPT_HTTPHEADER, static_cast<curl_slist *>(nullptr));

  auto &reply = exchange.reply;
  long status = 0;
  curl_off_t wire = 0, retry = 0;
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(handle, CURLINFO_SIZE_DOWNLOAD_T, &wire);
  curl_easy_getinfo(handle, CURLINFO_RETRY_AFTER, &retry);
  reply.status = static_cast<std::uint32_t>(std::clamp(status, 0L, 999L));
  reply.wire_bytes = static_cast<std::uint64_t>(std::max<curl_off_t>(wire, 0));
  if (retry > 0) {
    reply.retry_after = std::chrono::seconds(std::min<curl_off_t>(retry, 86'400));
  }
  if (code == CURLE_WRITE_ERROR && sink.problem() != FetchProblem::None) {
    reply.problem = sink.problem();
    reply.reason =
        reply.problem == FetchProblem::TooLarge ? "larger than the limit" : "could not be written";
    return reply;
  }
  if (exchange.header_flood) {
    reply.problem = FetchProblem::BadAnswer;
    reply.reason = "more than 256 KiB of headers";
    return reply;
  }
  const bool own_page = code == CURLE_WRITE_ERROR && status >= 300; // an error's long page
  if (code != CURLE_OK && !own_page) {
    const std::string words =
        session_->words[0] != '\0' ? session_->words.data() : curl_easy_strerror(code);
    reply.problem = problem_of(code, words);
    reply.reason = cut(to_printable(words));
    return reply;
  }
  if (const char *target = nullptr;
      is_redirect(reply.status) &&
      curl_easy_getinfo(handle, CURLINFO_REDIRECT_URL, &target) == CURLE_OK && target != nullptr) {
    reply.redirect_url = target;
    return reply;
  }
  judge_status(reply);
  return reply;
}

} // namespace outguard::fetch
