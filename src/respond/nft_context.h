#pragma once
// nftables of one network namespace, through libnftables. Each run is one kernel transaction: all
// of it or nothing. Keeps its netlink socket, which stays in the namespace that it was made in. One
// thread at a time a context; contexts are serialized among themselves (libnftables keeps global
// tables).

#include <memory>
#include <string>

#include "base/fd.h"
#include "base/result.h"

struct nft_ctx;

namespace outguard::respond {

class NftContext {
public:
  [[nodiscard]] static Result<NftContext> open(const Fd &netns);

  /// What the commands print. `commands` holds only our own words and checked names.
  [[nodiscard]] Result<std::string> run(const std::string &commands) const;

private:
  struct Free {
    void operator()(nft_ctx *context) const;
  };
  explicit NftContext(nft_ctx *context) : context_(context) {}

  std::unique_ptr<nft_ctx, Free> context_;
};

} // namespace outguard::respond
