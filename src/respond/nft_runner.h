#pragma once
// Runs nftables commands inside one network namespace, through libnftables. Each run is one kernel
// transaction: all of it or nothing. Any thread; runs are serialized (libnftables keeps global tables).

#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace outguard::respond {

class NftRunner {
public:
  explicit NftRunner(Fd netns) : netns_(std::move(netns)) {}

  /// What the commands print, as nft's JSON. `commands` holds only our own words and checked names.
  [[nodiscard]] Result<std::string> run(const std::string &commands) const;

private:
  Fd netns_;
};

} // namespace outguard::respond
