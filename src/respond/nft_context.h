#pragma once
// nftables of one network namespace, through libnftables. Each run is one kernel transaction: all
// of it or nothing. Keeps its netlink socket, which stays in the namespace that it was made in, but
// for one on which an answer may have been missed: libnftables would take it for the answer to what
// is asked next, and ends the program where it makes no sense. One thread at a time a context;
// contexts are serialized among themselves (libnftables keeps global tables).

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
  /// Whether the kernel would take them: it looks at all and then leaves all as it was.
  [[nodiscard]] Result<void> check(const std::string &commands) const;

private:
  struct Free {
    void operator()(nft_ctx *context) const;
  };
  using Context = std::unique_ptr<nft_ctx, Free>;
  NftContext(Context context, Fd netns) : netns_(std::move(netns)), context_(std::move(context)) {}
  [[nodiscard]] static Result<Context> make(const Fd &netns);
  /// Another socket, where this one may be out of step.
  [[nodiscard]] Result<void> renew() const;
  [[nodiscard]] Result<std::string> run_now(const std::string &commands) const;

  Fd netns_;
  mutable Context context_;
  mutable bool spoilt_ = false;
};

} // namespace outguard::respond
