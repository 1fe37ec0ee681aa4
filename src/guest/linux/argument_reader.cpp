#include "guest/linux/argument_reader.h"

#include <algorithm>
#include <string>

namespace outguard::guest {
namespace {

constexpr std::uint64_t kPage = 4096; ///< the kernel looks for a title's end in as many bytes

ArgumentsFound split_at_nul(std::string_view bytes) {
  ArgumentsFound found;
  while (!bytes.empty() && found.words.size() < kMostArguments) {
    const std::size_t end = std::min(bytes.find('\0'), bytes.size());
    found.words.emplace_back(std::string(bytes.substr(0, end)));
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
  }
  found.cut = !bytes.empty();
  return found;
}

class Memory {
public:
  Memory(const AddressSpace &space, KernelReader &reader) : space_(space), reader_(reader) {}

  [[nodiscard]] Result<std::string> read(GuestVirtual from, std::uint64_t count) const {
    if (!reader_.budget().step() || !reader_.budget().take_bytes(count)) {
      return fault(FaultCode::LimitReached, from.raw());
    }
    std::string bytes(count, '\0');
    const auto done =
        space_.read(from, {reinterpret_cast<std::uint8_t *>(bytes.data()), bytes.size()});
    return done ? Result<std::string>(std::move(bytes)) : tl::unexpected(done.error());
  }

  /// Up to its NUL, or a page of it. Only the pages that it lies in must be there.
  [[nodiscard]] Result<std::string> read_title(GuestVirtual begin) const {
    const std::uint64_t in_first = kPage - begin.raw() % kPage;
    auto title = read(begin, in_first);
    if (title && in_first < kPage && title->find('\0') == std::string::npos) {
      title = read(begin, kPage);
    }
    if (title) {
      title->resize(std::min(title->find('\0'), title->size()));
    }
    return title;
  }

private:
  const AddressSpace &space_;
  KernelReader &reader_;
};

} // namespace

Result<ArgumentsFound> read_arguments(GuestVirtual page_table, GuestVirtual begin, GuestVirtual end,
                                      KernelReader &reader) {
  if (end <= begin) {
    return ArgumentsFound{};
  }
  const auto root = reader.space().translate(page_table);
  if (!root) {
    return tl::unexpected(root.error());
  }
  const AddressSpace space(reader.space().memory().uncached(), *root, reader.space().levels(),
                           AddressSpace::Remember::Few);
  const Memory memory(space, reader);
  const std::uint64_t size = end.raw() - begin.raw();
  const auto bytes = memory.read(begin, std::min<std::uint64_t>(size, kMostArgumentBytes));
  const auto last = bytes && bytes->size() < size ? memory.read(end.minus_wrapping(1), 1) : bytes;
  if (!last) {
    return tl::unexpected(last.error());
  }
  if (last->back() != '\0') {
    auto title = memory.read_title(begin);
    if (!title) {
      return tl::unexpected(title.error());
    }
    return ArgumentsFound{{GuestText(std::move(*title))}, false};
  }
  auto found = split_at_nul(*bytes);
  found.cut = found.cut || bytes->size() < size;
  return found;
}

} // namespace outguard::guest
