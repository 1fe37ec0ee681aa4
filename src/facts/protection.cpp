#include "facts/protection.h"

#include "base/printable.h"

namespace outguard {

namespace {

constexpr std::size_t kLongestPath = 1024;
constexpr std::size_t kLongestName = 255;
constexpr unsigned kMappedBits = 96;

/// ::ffff:a.b.c.d/N as the guest's packets have it.
IpNetwork plain(IpNetwork network) {
  const auto address = network.address.unmapped();
  if (network.prefix_length >= kMappedBits && address.family != network.address.family) {
    network = {address, static_cast<std::uint8_t>(network.prefix_length - kMappedBits)};
  }
  return network;
}

} // namespace

Result<Protection> parse_protection(std::string_view what) {
  const auto invalid = [](const char *why) { return fail(ErrorCode::InvalidInput, why); };
  Protection entry;
  if (const auto network = IpNetwork::parse(what)) {
    entry.remote = plain(*network);
    return entry.remote->prefix_length != 0 ? Result<Protection>(std::move(entry))
                                            : invalid("that would protect every remote end");
  }
  const bool is_path = what.starts_with('/');
  // What is escaped when it is shown would come back from the journal as something else.
  if (what.empty() || what.size() > (is_path ? kLongestPath : kLongestName) ||
      to_printable(what) != what) {
    return invalid("what is protected is an address, a network, a whole path or a process's name");
  }
  if (!is_path && what.find('/') != what.npos) {
    return invalid("neither a network (bits beyond its length are zero) nor a whole path");
  }
  if (what.find_first_not_of("0123456789") == what.npos) {
    return invalid("a pid is somebody else's tomorrow: name the file or the process");
  }
  entry.process = what;
  return entry;
}

std::string what_of(const Protection &entry) {
  return entry.remote ? entry.remote->to_string() : entry.process;
}

} // namespace outguard
