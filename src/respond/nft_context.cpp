#include "respond/nft_context.h"

#include <mutex>
#include <utility>

#include <fcntl.h>
#include <nftables/libnftables.h>

#include "hypervisor/network_namespace.h"

namespace outguard::respond {

namespace {

constexpr const char *kNotThere = "No such file or directory";

std::mutex &one_at_a_time() {
  static std::mutex lock;
  return lock;
}

/// First line of nft's complaint: the others repeat our command.
std::string first_line(const char *text) {
  const std::string whole = text == nullptr ? "" : text;
  return whole.substr(0, whole.find('\n'));
}

} // namespace

void NftContext::Free::operator()(nft_ctx *context) const {
  nft_ctx_free(context);
}

Result<NftContext> NftContext::open(const Fd &netns) {
  auto context = make(netns);
  if (!context) {
    return tl::unexpected(context.error());
  }
  Fd kept(netns ? ::fcntl(netns.get(), F_DUPFD_CLOEXEC, 0) : -1);
  if (netns && !kept) {
    return fail_errno("nftables");
  }
  return NftContext(std::move(*context), std::move(kept));
}

Result<NftContext::Context> NftContext::make(const Fd &netns) {
  return hypervisor::in_namespace(netns, []() -> Result<Context> {
    const std::lock_guard lock(one_at_a_time());
    Context made(nft_ctx_new(NFT_CTX_DEFAULT));
    auto *context = made.get();
    if (context == nullptr || nft_ctx_buffer_output(context) != 0 ||
        nft_ctx_buffer_error(context) != 0) {
      return fail(ErrorCode::SystemFailed, "nftables cannot be used on this host");
    }
    nft_ctx_output_set_flags(context, NFT_CTX_OUTPUT_NUMERIC_PROTO);
    return made;
  });
}

Result<void> NftContext::renew() const {
  if (!spoilt_) {
    return {};
  }
  auto fresh = make(netns_);
  if (!fresh) {
    return tl::unexpected(fresh.error());
  }
  context_ = std::move(*fresh);
  spoilt_ = false;
  return {};
}

Result<std::string> NftContext::run(const std::string &commands) const {
  const auto renewed = renew();
  return renewed ? run_now(commands) : tl::unexpected(renewed.error());
}

Result<std::string> NftContext::run_now(const std::string &commands) const {
  const std::lock_guard lock(one_at_a_time());
  auto *context = context_.get();
  if (nft_run_cmd_from_buffer(context, commands.c_str()) != 0) {
    const auto why = first_line(nft_ctx_get_error_buffer(context));
    spoilt_ = why.find(kNotThere) == std::string::npos; // an answer, and often so
    return fail(ErrorCode::SystemFailed, "nftables: " + why);
  }
  const char *output = nft_ctx_get_output_buffer(context);
  return std::string(output == nullptr ? "" : output);
}

Result<void> NftContext::check(const std::string &commands) const {
  if (auto renewed = renew(); !renewed) {
    return renewed;
  }
  nft_ctx_set_dry_run(context_.get(), true);
  const auto done = run_now(commands);
  nft_ctx_set_dry_run(context_.get(), false);
  return done.map([](const auto &) {});
}

} // namespace outguard::respond
