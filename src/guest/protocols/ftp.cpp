#include "guest/protocols/ftp.h"

#include <array>

#include "guest/protocols/text_line.h"

namespace outguard::guest {

namespace {

constexpr std::array kOfFiles{verb("retr"), verb("stor"), verb("appe"), verb("stou"),
                              verb("rnfr"), verb("rnto"), verb("dele")};
/// No other protocol of lines has these.
constexpr std::array kOnlyHere{verb("pasv"), verb("epsv"), verb("port"), verb("eprt"), verb("type"),
                               verb("syst"), verb("feat"), verb("cwd "), verb("cdup"), verb("mlsd"),
                               verb("mlst"), verb("nlst"), verb("size"), verb("mdtm"), verb("rest"),
                               verb("allo"), verb("pbsz"), verb("prot")};

bool is_number(std::string_view text) {
  return text.find_first_not_of("0123456789") == std::string_view::npos;
}

} // namespace

Look look_at_ftp(FtpSession session, std::span<const std::uint8_t> bytes, std::string &scratch,
                 ObservableSink &sink) {
  const VerbMatch file = match_verb(bytes, kOfFiles);
  const VerbMatch other = match_verb(bytes, kOnlyHere);
  if (file == VerbMatch::No && other == VerbMatch::No) {
    return kNotMine;
  }
  const auto line = first_line(bytes);
  if (!line) {
    return bytes.size() < kMaxTextLine ? kNeedMore : kNotMine;
  }
  if (file != VerbMatch::Yes && other != VerbMatch::Yes) {
    return kNotMine; // a line that ends within the word
  }
  if (file == VerbMatch::Yes) {
    const auto blank = std::min(line->text.find(' '), line->text.size());
    auto name = line->text.substr(blank);
    name.remove_prefix(std::min(name.find_first_not_of(' '), name.size()));
    if (session == FtpSession::NotSeen && is_number(name)) {
      return kNotMine; // POP3 has RETR and DELE of numbers
    }
    if (!name.empty()) {
      constexpr std::size_t kMostBytes = 512;
      scratch.clear();
      append_printable(name, kMostBytes, scratch);
      sink.observe({ObservableKind::FileName, HostForm::NoHost, scratch});
    }
  }
  return consumed(line->length);
}

} // namespace outguard::guest
