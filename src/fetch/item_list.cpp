#include "fetch/item_list.h"

#include <algorithm>

namespace outguard::fetch {

ItemReader::ItemReader(std::string_view text, ListFrame frame) {
  whole_ = text.size() >= frame.head.size() + frame.tail.size() && text.starts_with(frame.head) &&
           text.ends_with(frame.tail);
  if (whole_) {
    rest_ = text.substr(frame.head.size(), text.size() - frame.head.size() - frame.tail.size());
  }
}

std::string_view ItemReader::next() {
  auto line = rest_.substr(0, rest_.find('\n'));
  rest_.remove_prefix(std::min(line.size() + 1, rest_.size()));
  if (line.ends_with(',')) {
    line.remove_suffix(1);
  }
  return line;
}

} // namespace outguard::fetch
