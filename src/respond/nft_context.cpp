#include "respond/nft_context.h"

#include <mutex>

#include <nftables/libnftables.h>

#include "hypervisor/network_namespace.h"

namespace outguard::respond {

namespace {

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
  return hypervisor::in_namespace(netns, []() -> Result<NftContext> {
    const std::lock_guard lock(one_at_a_time());
    NftContext made(nft_ctx_new(NFT_CTX_DEFAULT));
    auto *context = made.context_.get();
    if (context == nullptr || nft_ctx_buffer_output(context) != 0 ||
        nft_ctx_buffer_error(context) != 0) {
      return fail(ErrorCode::SystemFailed, "nftables cannot be used on this host");
    }
    nft_ctx_output_set_flags(context, NFT_CTX_OUTPUT_NUMERIC_PROTO);
    return made;
  });
}

Result<std::string> NftContext::run(const std::string &commands) const {
  const std::lock_guard lock(one_at_a_time());
  auto *context = context_.get();
  if (nft_run_cmd_from_buffer(context, commands.c_str()) != 0) {
    return fail(ErrorCode::SystemFailed,
                "nftables: " + first_line(nft_ctx_get_error_buffer(context)));
  }
  const char *output = nft_ctx_get_output_buffer(context);
  return std::string(output == nullptr ? "" : output);
}

} // namespace outguard::respond
