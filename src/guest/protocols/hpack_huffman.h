#pragma once
// The one Huffman code of HPACK (RFC 7541, appendix B). Pure.

#include <cstdint>
#include <span>
#include <string>

namespace outguard::guest {

/// Appends the text that `code` stands for; false when it is none (it may have been appended in
/// part).
[[nodiscard]] bool append_huffman(std::span<const std::uint8_t> code, std::string &out);

} // namespace outguard::guest
