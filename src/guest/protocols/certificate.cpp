#include "guest/protocols/certificate.h"

#include <algorithm>
#include <array>
#include <optional>

#include "guest/bytes/byte_cursor.h"
#include "guest/protocols/host_name.h"

namespace outguard::guest {

namespace {

using Bytes = std::span<const std::uint8_t>;

enum Tag : std::uint8_t {
  kBoolean = 0x01,
  kOctetString = 0x04,
  kObjectId = 0x06,
  kBmpString = 0x1e, ///< two bytes a character, unlike the other strings of names
  kSequence = 0x30,
  kVersion = 0xa0,    ///< [0] EXPLICIT
  kExtensions = 0xa3, ///< [3] EXPLICIT
  kDnsName = 0x82,    ///< [2] IMPLICIT IA5String of GeneralName
};

constexpr std::array<std::uint8_t, 3> kCommonName{0x55, 0x04, 0x03};       // 2.5.4.3
constexpr std::array<std::uint8_t, 3> kAlternativeNames{0x55, 0x1d, 0x11}; // 2.5.29.17

constexpr std::size_t kMostParts = 64; ///< of a subject; extensions
constexpr std::size_t kMostName = 255; ///< bytes; DNS names are shorter, common names have 64

struct Element {
  std::uint8_t tag = 0;
  Bytes content;
};

/// Definite lengths of up to four bytes and tags of one: all that a certificate uses.
std::optional<Element> next_element(ByteCursor &cursor) {
  const auto tag = cursor.u8();
  const auto first = cursor.u8();
  if (!tag || !first || (*tag & 0x1f) == 0x1f) {
    return std::nullopt;
  }
  std::size_t length = *first;
  if (length >= 0x80) {
    const auto bytes = cursor.take(length & 0x7f);
    if (!bytes || bytes->empty() || bytes->size() > 4) {
      return std::nullopt;
    }
    length = 0;
    for (const std::uint8_t byte : *bytes) {
      length = length << 8 | byte;
    }
  }
  const auto content = cursor.take(length);
  return content ? std::optional(Element{*tag, *content}) : std::nullopt;
}

/// The content of the next element if it is of this kind; empty otherwise.
Bytes next_of(ByteCursor &cursor, std::uint8_t tag) {
  const auto element = next_element(cursor);
  return element && element->tag == tag ? element->content : Bytes{};
}

class NameTeller {
public:
  NameTeller(std::string &scratch, ObservableSink &sink) : scratch_(scratch), sink_(sink) {}

  void tell(Bytes name, bool wide) {
    std::array<char, kMostName> text;
    std::size_t length = 0;
    const std::size_t step = wide ? 2 : 1;
    if (name.empty() || name.size() / step > text.size()) {
      return;
    }
    for (std::size_t at = step - 1; at < name.size(); at += step) {
      // A character beyond Latin-1 becomes one that no name has.
      const bool beyond = wide && name[at - 1] != 0;
      text[length++] = beyond ? '?' : static_cast<char>(name[at]);
    }
    scratch_.clear();
    const auto form = append_host({text.data(), length}, scratch_);
    if (!form || scratch_ == first_) {
      return;
    }
    if (told_ == 0) {
      first_ = scratch_; // the common name mostly comes again as an alternative one
    }
    if (told_++ < kMostCertificateNames) {
      sink_.observe({ObservableKind::CertificateName, *form, scratch_});
    }
  }
  [[nodiscard]] std::size_t untold() const {
    return told_ - std::min(told_, kMostCertificateNames);
  }

private:
  std::string &scratch_;
  ObservableSink &sink_;
  std::string first_;
  std::size_t told_ = 0;
};

/// The last of several common names is the most specific, and the one that software shows.
void tell_common_name(Bytes subject, NameTeller &teller) {
  std::optional<Element> found;
  ByteCursor parts(subject);
  for (std::size_t i = 0; i < kMostParts; ++i) {
    const auto set = next_element(parts);
    if (!set) {
      break;
    }
    ByteCursor in_set(set->content); // of more than one value in a set nobody makes use
    ByteCursor pair(next_of(in_set, kSequence));
    if (std::ranges::equal(next_of(pair, kObjectId), kCommonName)) {
      const auto value = next_element(pair);
      found = value ? value : found;
    }
  }
  if (found) {
    teller.tell(found->content, found->tag == kBmpString);
  }
}

void tell_alternative_names(Bytes extensions, NameTeller &teller) {
  ByteCursor list(extensions);
  for (std::size_t i = 0; i < kMostParts; ++i) {
    const auto extension = next_element(list);
    if (!extension) {
      return;
    }
    ByteCursor parts(extension->content);
    if (!std::ranges::equal(next_of(parts, kObjectId), kAlternativeNames)) {
      continue;
    }
    auto value = next_element(parts);
    if (value && value->tag == kBoolean) { // critical
      value = next_element(parts);
    }
    if (!value || value->tag != kOctetString) {
      return;
    }
    ByteCursor wrapped(value->content);
    ByteCursor names(next_of(wrapped, kSequence));
    while (const auto name = next_element(names)) { // each at least two bytes of the certificate
      if (name->tag == kDnsName) {
        teller.tell(name->content, false);
      }
    }
    return;
  }
}

} // namespace

std::size_t observe_certificate_names(std::span<const std::uint8_t> der, std::string &scratch,
                                      ObservableSink &sink) {
  ByteCursor all(der);
  ByteCursor certificate(next_of(all, kSequence));
  ByteCursor body(next_of(certificate, kSequence));
  NameTeller teller(scratch, sink);

  auto element = next_element(body);
  if (element && element->tag == kVersion) {
    element = next_element(body); // serial number
  }
  constexpr int kBeforeSubject = 3; // signature, issuer, validity
  for (int i = 0; element && i <= kBeforeSubject; ++i) {
    element = next_element(body);
  }
  if (element && element->tag == kSequence) {
    tell_common_name(element->content, teller);
  }
  for (int i = 0; element && i <= kBeforeSubject; ++i) { // key, two unique ids, extensions
    element = next_element(body);
    if (element && element->tag == kExtensions) {
      ByteCursor wrapped(element->content);
      tell_alternative_names(next_of(wrapped, kSequence), teller);
    }
  }
  return teller.untold();
}

} // namespace outguard::guest
