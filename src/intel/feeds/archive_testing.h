#pragma once
// Makes gzip and zip data for tests and fuzzer seeds, the zip also wrong in any field.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <zlib.h>

namespace outguard::intel {

/// zlib's own framing choices: 31 is gzip, -15 raw deflate.
inline std::vector<std::uint8_t> deflated(std::string_view text, int window_bits) {
  z_stream stream{};
  ::deflateInit2(&stream, 6, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY);
  std::vector<std::uint8_t> out(::deflateBound(&stream, text.size()) + 64);
  std::vector<std::uint8_t> in(text.begin(), text.end());
  stream.next_in = in.data();
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  ::deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  return out;
}

inline std::vector<std::uint8_t> packed_gzip(std::string_view text) {
  return deflated(text, 31);
}

class ZipMaker {
public:
  enum Method : std::uint16_t { Stored = 0, Deflated = 8 };
  struct Member {
    std::string name;
    std::vector<std::uint8_t> data;
    std::uint16_t flags = 0, method = 0;
    std::uint32_t crc = 0, size = 0;
    int same_as = -1; ///< points at the data of this one instead
  };

  ZipMaker &add(const std::string &name, std::string_view text, Method method = Deflated) {
    Member member;
    member.name = name;
    member.method = method;
    member.data = method == Deflated ? deflated(text, -15)
                                     : std::vector<std::uint8_t>(text.begin(), text.end());
    const std::vector<std::uint8_t> raw(text.begin(), text.end());
    member.crc =
        static_cast<std::uint32_t>(::crc32_z(::crc32_z(0, nullptr, 0), raw.data(), raw.size()));
    member.size = static_cast<std::uint32_t>(text.size());
    members_.push_back(std::move(member));
    return *this;
  }
  ZipMaker &add_again(const std::string &name, int other) {
    auto member = members_[static_cast<std::size_t>(other)];
    member.name = name;
    member.same_as = other;
    members_.push_back(std::move(member));
    return *this;
  }
  Member &member(std::size_t index) { return members_[index]; }

  [[nodiscard]] std::vector<std::uint8_t> finish(const std::string &comment = "") const {
    std::vector<std::uint8_t> out;
    std::vector<std::size_t> places;
    for (const auto &one : members_) {
      if (one.same_as >= 0) {
        places.push_back(places[static_cast<std::size_t>(one.same_as)]);
        continue;
      }
      places.push_back(out.size());
      put(out, 0x04034b50, 4);
      put(out, 20, 2);
      put_common(out, one);
      put(out, one.name.size(), 2);
      put(out, 0, 2);
      out.insert(out.end(), one.name.begin(), one.name.end());
      out.insert(out.end(), one.data.begin(), one.data.end());
    }
    const auto directory = out.size();
    for (std::size_t i = 0; i < members_.size(); ++i) {
      put(out, 0x02014b50, 4);
      put(out, 20, 2);
      put(out, 20, 2);
      put_common(out, members_[i]);
      put(out, members_[i].name.size(), 2);
      put(out, 0, 12); // extra, comment, disk, attributes
      put(out, places[i], 4);
      out.insert(out.end(), members_[i].name.begin(), members_[i].name.end());
    }
    const auto size = out.size() - directory;
    put(out, 0x06054b50, 4);
    put(out, 0, 4);
    put(out, members_.size(), 2);
    put(out, members_.size(), 2);
    put(out, size, 4);
    put(out, directory, 4);
    put(out, comment.size(), 2);
    out.insert(out.end(), comment.begin(), comment.end());
    return out;
  }

private:
  /// Little-endian.
  static void put(std::vector<std::uint8_t> &out, std::uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) {
      out.push_back(i < 8 ? static_cast<std::uint8_t>(value >> (8 * i)) : std::uint8_t{0});
    }
  }
  static void put_common(std::vector<std::uint8_t> &out, const Member &one) {
    put(out, one.flags, 2);
    put(out, one.method, 2);
    put(out, 0, 4); // time
    put(out, one.crc, 4);
    put(out, one.data.size(), 4);
    put(out, one.size, 4);
  }

  std::vector<Member> members_;
};

} // namespace outguard::intel
