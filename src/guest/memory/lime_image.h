#pragma once
// LiME's format, version 1, which AVML writes too: a header of 32 bytes before each range of
// memory.

#include <vector>

#include "guest/memory/file_bytes.h"
#include "guest/memory/segmented_dump.h"

namespace outguard::guest {

/// Ranges may stand in any order. Refused: another version, ranges that are reversed or overlap, a
/// file that ends inside one.
[[nodiscard]] Opened<std::vector<DumpSegment>> parse_lime_image(const FileBytes &file);

} // namespace outguard::guest
