#include "guest/protocols/dns.h"

#include <algorithm>
#include <optional>

#include "guest/protocols/dns_name.h"
#include "guest/protocols/host_name.h"

namespace outguard::guest {

namespace {

constexpr std::uint16_t kMaxQuestions = 32; ///< one in practice, mDNS asks several
constexpr std::uint32_t kMaxRecords = 512;  ///< 64 KiB hold more only in zone transfers
constexpr int kMaxAnswered = 128;           ///< names and addresses observed, a message
constexpr int kMaxParameters = 32;          ///< of one SVCB record; 9 keys are registered

struct Header {
  bool response = false;
  bool plausible = false;
  std::uint16_t questions = 0;
  std::uint32_t records = 0;
};

std::optional<Header> read_header(ByteCursor &cursor) {
  if (cursor.remaining() < kDnsHeader || !cursor.skip(2)) {
    return std::nullopt;
  }
  const std::uint16_t flags = *cursor.be16();
  Header header;
  header.response = (flags & 0x8000) != 0;
  header.questions = *cursor.be16();
  const std::uint16_t answers = *cursor.be16();
  const std::uint16_t authorities = *cursor.be16();
  const std::uint16_t additional = *cursor.be16();
  header.records = std::uint32_t{answers} + authorities + additional;
  const bool standard_query = (flags & 0x7840) == 0; // opcode 0, Z clear
  const bool counts = header.response ? header.records <= kMaxRecords
                                      : answers == 0 && authorities == 0 && additional <= 2;
  header.plausible = standard_query && counts && header.questions == 1 && (flags & 0x000f) <= 10;
  return header;
}

bool is_question_class(std::uint16_t value) {
  const std::uint16_t without_unicast_bit = value & 0x7fff; // mDNS, RFC 6762
  return without_unicast_bit == 1 || without_unicast_bit == 3 || without_unicast_bit == 255;
}

/// Types of records whose data are looked at (IANA, DNS parameters).
enum class Type : std::uint16_t {
  A = 1,
  Ns = 2,
  Cname = 5,
  Ptr = 12,
  Mx = 15,
  Aaaa = 28,
  Srv = 33,
  Dname = 39,
  Svcb = 64,
  Https = 65,
};

/// Reads the records behind the questions. Stops at the first that is broken: what follows cannot
/// be found.
class AnswerReader {
public:
  AnswerReader(std::span<const std::uint8_t> message, std::string &scratch, ObservableSink &sink)
      : message_(message), scratch_(scratch), sink_(sink) {}

  void read(ByteCursor cursor, const Header &header) {
    for (std::uint32_t i = 0; i < header.records; ++i) {
      if (left_ <= 0 || i == kMaxRecords) {
        return sink_.pass_over_rest();
      }
      const bool owner = header.questions == 0 ? observe_name(cursor) : skip_dns_name(cursor);
      if (!owner || !read_record(cursor)) {
        return;
      }
    }
  }

private:
  /// The cursor is behind the owner's name.
  bool read_record(ByteCursor &cursor) {
    const auto type = cursor.be16();
    const auto clazz = cursor.be16();
    const auto ttl = cursor.be32();
    const auto length = cursor.be16();
    if (!type || !clazz || !ttl || !length || cursor.remaining() < *length) {
      return false;
    }
    ByteCursor data(message_.first(cursor.position() + *length));
    const bool internet = (*clazz & 0x7fff) == 1; // mDNS: the top bit says "flush the cache"
    if (data.skip(cursor.position()) && internet) {
      read_data(static_cast<Type>(*type), data);
    }
    return cursor.skip(*length);
  }

  /// `data` ends with the record, and its position is one within the message: names need that.
  void read_data(Type type, ByteCursor data) {
    constexpr std::size_t kPreference = 2;         // before the name of an MX
    constexpr std::size_t kPriorityWeightPort = 6; // before that of an SRV
    switch (type) {
    case Type::A:
      return observe_addresses(data.rest(), IpFamily::V4);
    case Type::Aaaa:
      return observe_addresses(data.rest(), IpFamily::V6);
    case Type::Ns:
    case Type::Cname:
    case Type::Ptr:
    case Type::Dname:
      static_cast<void>(observe_name(data));
      return;
    case Type::Mx:
      static_cast<void>(data.skip(kPreference) && observe_name(data));
      return;
    case Type::Srv:
      static_cast<void>(data.skip(kPriorityWeightPort) && observe_name(data));
      return;
    case Type::Svcb:
    case Type::Https:
      return read_service(data);
    }
  }

  /// RFC 9460, 2.2 and 14.3.2.
  void read_service(ByteCursor data) {
    enum Key : std::uint16_t { kIpv4Hint = 4, kEch = 5, kIpv6Hint = 6 };
    if (!data.be16() || !observe_name(data)) {
      return;
    }
    for (int i = 0; !data.at_end(); ++i) {
      if (i == kMaxParameters) {
        return sink_.pass_over_rest();
      }
      const auto key = data.be16();
      const auto length = data.be16();
      const auto value = data.take(length.value_or(0));
      if (!key || !length || !value) {
        return;
      }
      if (*key == kEch) {
        sink_.note_blindness(Blindness::EncryptedHello);
      } else if (*key == kIpv4Hint || *key == kIpv6Hint) {
        observe_addresses(*value, *key == kIpv4Hint ? IpFamily::V4 : IpFamily::V6);
      }
    }
  }

  /// One address after the other; none when the length is not theirs.
  void observe_addresses(std::span<const std::uint8_t> bytes, IpFamily family) {
    const std::size_t size = family == IpFamily::V4 ? 4 : 16;
    if (bytes.size() % size != 0) {
      return;
    }
    for (; !bytes.empty(); bytes = bytes.subspan(size)) {
      if (left_ <= 0) {
        return sink_.pass_over_rest();
      }
      const auto address = family == IpFamily::V4 ? IpAddress::v4(bytes.first<4>())
                                                  : IpAddress::v6(bytes.first<16>());
      --left_;
      sink_.observe({ObservableKind::DnsAnswerAddress, HostForm::Address, {}, &address});
    }
  }

  /// False: there is no whole name.
  bool observe_name(ByteCursor &cursor) {
    if (read_dns_name(message_, cursor, scratch_) != DnsNameEnd::Complete) {
      return false;
    }
    if (!scratch_.empty()) {
      --left_;
      sink_.observe({ObservableKind::DnsAnswerName, form_of(scratch_), scratch_});
    }
    return true;
  }

  std::span<const std::uint8_t> message_;
  std::string &scratch_;
  ObservableSink &sink_;
  int left_ = kMaxAnswered;
};

/// What the answer that is listed was given to.
void observe_question(std::span<const std::uint8_t> message, std::string &scratch,
                      ObservableSink &sink) {
  ByteCursor cursor(message);
  if (read_header(cursor) && read_dns_name(message, cursor, scratch) == DnsNameEnd::Complete &&
      !scratch.empty()) {
    sink.observe({ObservableKind::DnsName, form_of(scratch), scratch});
  }
}

} // namespace

bool may_be_dns(std::span<const std::uint8_t> bytes) {
  ByteCursor cursor(bytes);
  const auto header = read_header(cursor);
  return !header || header->plausible;
}

DnsLook look_at_dns(std::span<const std::uint8_t> message, DnsStrictness strictness, DnsNames names,
                    std::string &scratch, ObservableSink &sink) {
  const bool strict = strictness == DnsStrictness::AnyPort;
  ByteCursor cursor(message);
  const auto header = read_header(cursor);
  if (!header || (strict && !header->plausible)) {
    return DnsLook::NotDns;
  }
  const bool wanted = !header->response || names == DnsNames::OfQueriesAndAnswers;
  for (std::uint16_t i = 0; i < header->questions && i < kMaxQuestions; ++i) {
    const DnsNameEnd end = read_dns_name(message, cursor, scratch);
    if (end != DnsNameEnd::Complete) {
      const bool cut = end == DnsNameEnd::CutOff && !strict;
      return cut ? DnsLook::Truncated : i == 0 ? DnsLook::NotDns : DnsLook::Message;
    }
    const auto type = cursor.be16();
    const auto clazz = cursor.be16();
    if (!type || !clazz) {
      return strict ? DnsLook::NotDns : DnsLook::Truncated;
    }
    const HostForm form = form_of(scratch);
    if (strict && (form == HostForm::Odd || *type == 0 || !is_question_class(*clazz) ||
                   (header->records == 0 && !cursor.at_end()))) {
      return DnsLook::NotDns;
    }
    sink.spend(scratch.size());
    if (wanted && !scratch.empty()) {
      sink.observe({ObservableKind::DnsName, form, scratch});
    }
  }
  if (header->questions > kMaxQuestions) {
    sink.pass_over_rest();
  } else if (header->response) {
    const bool all_told = sink.wants_all();
    AnswerReader(message, scratch, sink).read(cursor, *header);
    if (!all_told && sink.wants_all() && header->questions != 0) {
      observe_question(message, scratch, sink);
    }
  }
  return DnsLook::Message;
}

} // namespace outguard::guest
