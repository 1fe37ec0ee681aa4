#include "guest/symbols/isf_reader.h"

#include <algorithm>
#include <iterator>
#include <optional>

#define JSON_NOEXCEPTION
#include <nlohmann/json.hpp>

#include "guest/symbols/byte_stream.h"

namespace outguard::guest {
namespace {

constexpr std::size_t kMaxDepth = 64; ///< a pointer to an array of pointers ...: 12 is much
constexpr std::size_t kMaxTextBytes = 4096;
constexpr std::size_t kMaxBannerBytes = 512;

/// What a JSON object describes, by where it stands.
enum class Place : std::uint8_t {
  Other,
  Root,
  BaseTypes,
  BaseType,
  UserTypes,
  UserType,
  Fields,
  Field,
  Type,
  Enums,
  Enum,
  Constants,
  Symbols,
  Symbol,
};

Place place_inside(Place outer, std::string_view key) {
  switch (outer) {
  case Place::Root:
    return key == "base_types"   ? Place::BaseTypes
           : key == "user_types" ? Place::UserTypes
           : key == "enums"      ? Place::Enums
           : key == "symbols"    ? Place::Symbols
                                 : Place::Other;
  case Place::BaseTypes:
    return Place::BaseType;
  case Place::UserTypes:
    return Place::UserType;
  case Place::UserType:
    return key == "fields" ? Place::Fields : Place::Other;
  case Place::Fields:
    return Place::Field;
  case Place::Field:
    return key == "type" ? Place::Type : Place::Other;
  case Place::Type:
    return key == "subtype" || key == "type" ? Place::Type : Place::Other;
  case Place::Enums:
    return Place::Enum;
  case Place::Enum:
    return key == "constants" ? Place::Constants : Place::Other;
  case Place::Symbols:
    return Place::Symbol;
  default:
    return Place::Other;
  }
}

/// One open object, with what was read of it so far.
struct Frame {
  Place place = Place::Other;
  std::string name;         ///< the key that it stands under
  std::string kind, target; ///< of a Type: "kind" and "name"
  std::uint64_t number = 0; ///< size, offset or address
  std::uint64_t count = 0, bit_position = 0, bit_length = 0;
  bool unnamed = false;
  IsfType type; ///< of a Field its type, of a Type what it is made of
};

std::uint32_t capped(std::uint64_t value) {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(value, UINT32_MAX));
}

IsfType resolve(const Frame &frame) {
  using Kind = IsfType::Kind;
  IsfType type;
  if (frame.kind == "pointer") {
    type.kind = Kind::Pointer;
  } else if (frame.kind == "array") {
    type = frame.type;
    type.elements = capped(std::uint64_t{type.elements} * capped(frame.count));
  } else if (frame.kind == "bitfield") {
    type = frame.type;
    type.is_bit_field = true;
    type.bit_position = static_cast<std::uint8_t>(std::min<std::uint64_t>(frame.bit_position, 255));
    type.bit_length = static_cast<std::uint8_t>(std::min<std::uint64_t>(frame.bit_length, 255));
  } else if (frame.kind == "struct" || frame.kind == "union" || frame.kind == "class") {
    type.kind = Kind::Composite;
    type.name = name_hash(frame.target);
  } else if (frame.kind == "enum" || frame.kind == "base") {
    type.kind = frame.kind == "enum" ? Kind::Enum : Kind::Base;
    type.name = name_hash(frame.target);
  }
  return type;
}

std::optional<std::string> decode_base64(std::string_view text) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  std::uint32_t bits = 0;
  int have = 0;
  for (const char letter : text.substr(0, text.find('='))) {
    const std::size_t digit = kDigits.find(letter);
    if (digit == kDigits.npos) {
      return std::nullopt;
    }
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    have += 6;
    if (have >= 8) {
      have -= 8;
      bytes.push_back(static_cast<char>(bits >> have & 0xff));
    }
  }
  return bytes;
}

/// Takes the parser's events. False from an event ends the parse; problem() says why.
class IsfEvents {
public:
  IsfEvents() {
    file_.types = std::make_unique<IsfTypeTable>();
    file_.symbols = std::make_unique<IsfSymbolTable>();
  }
  [[nodiscard]] IsfFile take() { return std::move(file_); }
  [[nodiscard]] const char *problem() const { return problem_; }

  bool null() { return true; }
  bool boolean(bool value) {
    if (in(Place::Field, "anonymous")) {
      frames_.back().unnamed = value;
    }
    return true;
  }
  bool number_integer(std::int64_t value) { return number(static_cast<std::uint64_t>(value)); }
  bool number_unsigned(std::uint64_t value) { return number(value); }
  bool number_float(double, const std::string &) { return true; }
  bool binary(const std::vector<std::uint8_t> &) { return true; }

  bool string(std::string &value) {
    if (value.size() > kMaxTextBytes) {
      return true; // nothing that is looked for
    }
    if (in(Place::Type, "kind")) {
      frames_.back().kind = value;
    } else if (in(Place::Type, "name")) {
      frames_.back().target = value;
    } else if (in(Place::Symbol, "constant_data") && frames_.back().name == "linux_banner") {
      take_banner(value);
    }
    return true;
  }
  bool key(std::string &value) {
    key_.assign(value, 0, kMaxTextBytes);
    return true;
  }

  bool start_object(std::size_t) {
    return open(frames_.empty() ? Place::Root : place_inside(frames_.back().place, key_));
  }
  bool start_array(std::size_t) { return open(Place::Other); }
  bool end_array() { return close(); }
  bool end_object() { return close(); }

  bool parse_error(std::size_t, const std::string &, const nlohmann::detail::exception &) {
    problem_ = problem_ == nullptr ? "the file is no JSON" : problem_;
    return false;
  }

private:
  [[nodiscard]] bool in(Place place, std::string_view key) const {
    return !frames_.empty() && frames_.back().place == place && key_ == key;
  }
  bool stop(const char *problem) {
    problem_ = problem;
    return false;
  }

  bool open(Place place) {
    if (frames_.size() >= kMaxDepth) {
      return stop("the file nests too deep");
    }
    frames_.emplace_back();
    frames_.back().place = place;
    frames_.back().name = key_;
    return true;
  }

  bool number(std::uint64_t value) {
    if (frames_.empty()) {
      return true;
    }
    Frame &frame = frames_.back();
    if (frame.place == Place::Constants) {
      file_.types->add_enumerator(key_, static_cast<std::int64_t>(value));
      return within_limits();
    }
    if (key_ == "size" || key_ == "offset" || key_ == "address") {
      frame.number = value;
    } else if (key_ == "count") {
      frame.count = value;
    } else if (key_ == "bit_position") {
      frame.bit_position = value;
    } else if (key_ == "bit_length") {
      frame.bit_length = value;
    }
    return true;
  }

  void take_banner(std::string_view base64) {
    if (auto text = decode_base64(base64); text && text->size() <= kMaxBannerBytes) {
      text->resize(std::min(text->find_first_of(std::string_view("\n\0", 2)), text->size()));
      file_.banner = std::move(*text);
    }
  }

  bool close() {
    const Frame frame = std::move(frames_.back());
    frames_.pop_back();
    switch (frame.place) {
    case Place::BaseType:
      file_.types->add_size(IsfType::Kind::Base, frame.name, capped(frame.number));
      break;
    case Place::Enum:
      file_.types->add_size(IsfType::Kind::Enum, frame.name, capped(frame.number));
      break;
    case Place::Type:
      frames_.back().type = resolve(frame);
      break;
    case Place::Field:
      file_.types->add_field(
          {name_hash(frame.name), capped(frame.number), frame.unnamed, frame.type});
      break;
    case Place::UserType:
      file_.types->add_composite(frame.name, capped(frame.number));
      break;
    case Place::Symbol:
      file_.symbols->add(frame.name, frame.number);
      break;
    default:
      return true;
    }
    return within_limits();
  }

  bool within_limits() {
    return (file_.types->check_limits() && file_.symbols->check_limits()) ||
           stop("the file has more types or symbols than any kernel");
  }

  IsfFile file_;
  std::vector<Frame> frames_; ///< from the outermost object
  std::string key_;           ///< the last one read
  const char *problem_ = nullptr;
};

/// The stream as the parser takes it.
class StreamIterator {
public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char *;
  using reference = char;

  StreamIterator() = default; ///< the end
  explicit StreamIterator(ByteStream &stream) : stream_(&stream) {}

  char operator*() const { return stream_->current(); }
  StreamIterator &operator++() {
    stream_->advance();
    return *this;
  }
  bool operator==(const StreamIterator &other) const { return at_end() == other.at_end(); }
  bool operator!=(const StreamIterator &other) const { return !(*this == other); }

private:
  [[nodiscard]] bool at_end() const { return stream_ == nullptr || stream_->ended(); }

  ByteStream *stream_ = nullptr;
};

} // namespace

tl::expected<IsfFile, std::string> read_isf(Fd file, const IsfLimits &limits) {
  ByteStream stream(std::move(file), limits.file_bytes, limits.unpacked_bytes);
  IsfEvents events;
  const bool parsed = nlohmann::json::sax_parse(StreamIterator(stream), StreamIterator(), &events);
  if (stream.problem() != nullptr) {
    return tl::unexpected(std::string(stream.problem()));
  }
  if (!parsed) {
    return tl::unexpected(
        std::string(events.problem() == nullptr ? "the file is no JSON" : events.problem()));
  }
  IsfFile isf = events.take();
  if (isf.banner.empty()) {
    return tl::unexpected(
        std::string("the file does not say which kernel it is of (linux_banner)"));
  }
  isf.types->seal();
  isf.symbols->seal();
  return isf;
}

} // namespace outguard::guest
