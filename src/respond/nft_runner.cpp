#include "respond/nft_runner.h"

#include <memory>
#include <mutex>

#include <nftables/libnftables.h>

#include "hypervisor/network_namespace.h"

namespace outguard::respond {

namespace {

struct FreeContext {
  void operator()(nft_ctx *context) const { nft_ctx_free(context); }
};

/// First line of nft's complaint: the others repeat our command.
std::string first_line(const char *text) {
  const std::string whole = text == nullptr ? "" : text;
  return whole.substr(0, whole.find('\n'));
}

Result<std::string> run_here(const std::string &commands) {
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);
  // The context's netlink socket belongs to the namespace that it is made in.
  const std::unique_ptr<nft_ctx, FreeContext> context(nft_ctx_new(NFT_CTX_DEFAULT));
  if (!context || nft_ctx_buffer_output(context.get()) != 0 ||
      nft_ctx_buffer_error(context.get()) != 0) {
    return fail(ErrorCode::SystemFailed, "nftables cannot be used on this host");
  }
  nft_ctx_output_set_flags(context.get(), NFT_CTX_OUTPUT_NUMERIC_PROTO);
  if (nft_run_cmd_from_buffer(context.get(), commands.c_str()) != 0) {
    return fail(ErrorCode::SystemFailed,
                "nftables: " + first_line(nft_ctx_get_error_buffer(context.get())));
  }
  const char *output = nft_ctx_get_output_buffer(context.get());
  return std::string(output == nullptr ? "" : output);
}

} // namespace

Result<std::string> run_nft(const Fd &netns, const std::string &commands) {
  return hypervisor::in_namespace(netns, [&] { return run_here(commands); });
}

} // namespace outguard::respond
