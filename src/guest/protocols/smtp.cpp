#include "guest/protocols/smtp.h"

#include <array>
#include <charconv>
#include <cstring>

#include "guest/protocols/text_line.h"

namespace outguard::guest {

namespace {

constexpr std::array kGreetings{verb("ehlo"), verb("helo"), verb("lhlo")};
constexpr std::array kAddresses{verb("mail"), verb("rcpt")};
constexpr std::array kContents{verb("data"), verb("bdat")};
/// What a client says where a mail's text was refused. No mail begins with these words alone.
constexpr std::array kAfterRefusal{verb("rset"), verb("quit"), verb("mail"), verb("noop")};

void observe_host(std::string_view host, std::string &scratch, ObservableSink &sink) {
  constexpr std::string_view kV6Literal = "[ipv6:"; // RFC 5321, 4.1.3
  if (starts_ignoring_case(host, kV6Literal) && host.back() == ']') {
    host = host.substr(kV6Literal.size(), host.size() - kV6Literal.size() - 1);
  }
  scratch.clear();
  constexpr std::size_t kMostBytes = 255;
  if (const auto form = append_host(host.substr(0, kMostBytes), scratch)) {
    sink.observe({ObservableKind::MailHost, *form, scratch});
  }
}

std::string_view first_word(std::string_view text) {
  const auto start = std::min(text.find_first_not_of(" \t"), text.size());
  text.remove_prefix(start);
  return text.substr(0, text.find_first_of(" \t"));
}

/// "FROM:<user@domain> SIZE=1", blanks after the colon allowed.
Look look_at_address(std::string_view argument, std::string &scratch, ObservableSink &sink) {
  const auto start = std::min(argument.find_first_not_of(" \t"), argument.size());
  argument.remove_prefix(start);
  const bool from = starts_ignoring_case(argument, "from:");
  if (!from && !starts_ignoring_case(argument, "to:")) {
    return kNotMine;
  }
  auto path = argument.substr(argument.find(':') + 1);
  if (const auto open = path.find('<'); open != std::string_view::npos) {
    path.remove_prefix(open + 1);
    path = path.substr(0, path.find('>'));
  } else {
    path = first_word(path);
  }
  if (const auto at = path.rfind('@'); at != std::string_view::npos) {
    observe_host(path.substr(at + 1), scratch, sink);
  }
  return consumed(0);
}

/// BDAT's size in bytes; they follow the line.
std::uint64_t chunk_size(std::string_view argument) {
  const auto word = first_word(argument);
  std::uint64_t size = 0;
  const auto parsed = std::from_chars(word.data(), word.data() + word.size(), size);
  return parsed.ec == std::errc{} ? std::min<std::uint64_t>(size, UINT32_MAX) : 0;
}

/// Passes over the mail, up to and with the line of one dot.
std::uint64_t pass_text(MailText &text, std::span<const std::uint8_t> bytes) {
  std::size_t at = 0;
  while (at < bytes.size() && text != MailText::None) {
    const std::uint8_t byte = bytes[at];
    switch (text) {
    case MailText::InLine: {
      const void *end = std::memchr(bytes.data() + at, '\n', bytes.size() - at);
      if (end == nullptr) {
        return bytes.size();
      }
      at = static_cast<std::size_t>(static_cast<const std::uint8_t *>(end) - bytes.data());
      text = MailText::LineStart;
      break;
    }
    case MailText::LineStart:
      text = byte == '.' ? MailText::Dot : byte == '\n' ? MailText::LineStart : MailText::InLine;
      break;
    case MailText::Dot:
      text = byte == '\n' ? MailText::None : byte == '\r' ? MailText::DotReturn : MailText::InLine;
      break;
    case MailText::DotReturn:
      text = byte == '\n' ? MailText::None : MailText::InLine;
      break;
    case MailText::First:
    case MailText::None:
      break;
    }
    ++at;
  }
  return at;
}

/// What stands where the first line of a mail should: the mail, or a command.
VerbMatch is_refused(std::span<const std::uint8_t> bytes) {
  const VerbMatch verb_match = match_verb(bytes, kAfterRefusal);
  if (verb_match != VerbMatch::Yes) {
    return verb_match;
  }
  const auto line = first_line(bytes);
  if (!line) {
    return bytes.size() < kMaxTextLine ? VerbMatch::Unfinished : VerbMatch::No;
  }
  return line->text.size() == 4 || starts_ignoring_case(line->text, "mail from:") ? VerbMatch::Yes
                                                                                  : VerbMatch::No;
}

Look look_at_command(MailText &text, SmtpSession session, std::span<const std::uint8_t> bytes,
                     std::string &scratch, ObservableSink &sink) {
  const bool seen = session == SmtpSession::Seen;
  const VerbMatch greeting = match_verb(bytes, kGreetings);
  const VerbMatch address = match_verb(bytes, kAddresses);
  const VerbMatch contents = seen ? match_verb(bytes, kContents) : VerbMatch::No;
  if (greeting == VerbMatch::No && address == VerbMatch::No && contents == VerbMatch::No) {
    return kNotMine;
  }
  const auto line = first_line(bytes);
  if (!line) {
    return bytes.size() < kMaxTextLine ? kNeedMore : kNotMine;
  }
  constexpr std::size_t kVerb = 4;
  if (line->text.size() < kVerb) {
    return kNotMine;
  }
  const auto argument = line->text.substr(kVerb);
  if (greeting == VerbMatch::Yes) {
    observe_host(first_word(argument), scratch, sink);
  } else if (address == VerbMatch::Yes) {
    if (look_at_address(argument, scratch, sink).outcome == Look::Outcome::NotMine) {
      return kNotMine;
    }
  } else if (contents == VerbMatch::Yes) {
    if (verb(line->text) == verb("bdat")) {
      return consumed(line->length + chunk_size(argument));
    }
    text = MailText::First;
  } else {
    return kNotMine; // a line that ends within the word
  }
  return consumed(line->length);
}

} // namespace

Look look_at_smtp(MailText &text, SmtpSession session, std::span<const std::uint8_t> bytes,
                  std::string &scratch, ObservableSink &sink) {
  if (text == MailText::First) {
    const VerbMatch refused = is_refused(bytes);
    if (refused == VerbMatch::Unfinished) {
      return kNeedMore;
    }
    text = refused == VerbMatch::Yes ? MailText::None : MailText::LineStart;
  }
  if (text != MailText::None) {
    return consumed(pass_text(text, bytes));
  }
  return look_at_command(text, session, bytes, scratch, sink);
}

} // namespace outguard::guest
