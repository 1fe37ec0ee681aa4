#include "guest/linux/argument_reader.h"

#include <algorithm>
#include <string>

namespace outguard::guest {
namespace {

std::vector<GuestText> split_at_nul(std::string_view bytes) {
  std::vector<GuestText> arguments;
  while (!bytes.empty() && arguments.size() < kMostArguments) {
    const std::size_t end = std::min(bytes.find('\0'), bytes.size());
    arguments.emplace_back(std::string(bytes.substr(0, end)));
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
  }
  return arguments;
}

} // namespace

Result<std::vector<GuestText>> read_arguments(GuestVirtual page_table, GuestVirtual begin,
                                              GuestVirtual end, KernelReader &reader) {
  if (end <= begin) {
    return std::vector<GuestText>{};
  }
  const auto root = reader.space().translate(page_table);
  if (!root) {
    return tl::unexpected(root.error());
  }
  const AddressSpace process(reader.space().memory(), *root, reader.space().levels());
  std::string bytes(std::min<std::uint64_t>(end.raw() - begin.raw(), kMostArgumentBytes), '\0');
  if (!reader.budget().take_bytes(bytes.size())) {
    return fault(FaultCode::LimitReached, begin.raw());
  }
  const auto done =
      process.read(begin, {reinterpret_cast<std::uint8_t *>(bytes.data()), bytes.size()});
  if (!done) {
    return tl::unexpected(done.error());
  }
  // A program that wrote over its last NUL (setproctitle) has a title there, one string.
  const auto last = process.read<char>(end.minus_wrapping(1));
  if (last && last->any_value() != '\0') {
    bytes.resize(std::min(bytes.find('\0'), bytes.size()));
  }
  return split_at_nul(bytes);
}

} // namespace outguard::guest
