// The first byte says where the bytes are cut in two: what is seen must not depend on it.
#include "guest/protocols/ftp.h"
#include "guest/protocols/protocol_test_builder.h"
#include "guest/protocols/smtp.h"
#include "guest/protocols/split_test_run.h"
#include "guest/protocols/tftp.h"

using namespace outguard::guest;

std::vector<std::vector<std::uint8_t>> fuzzer_seeds();
std::vector<std::vector<std::uint8_t>> fuzzer_seeds() {
  return {number(128, 1) +
              bytes_of("EHLO a.b\r\nMAIL FROM:<a@b.c>\r\nRCPT TO: d@e\r\nDATA\r\nx\r\n.\r\n"),
          number(128, 1) + bytes_of("HELO [1.2.3.4]\r\nDATA\r\nMAIL FROM:<>\r\nBDAT 3 LAST\r\nabc"),
          number(128, 1) + bytes_of("TYPE I\r\nRETR x y\r\nSTOR z\r\n"),
          Bytes{128, 0, 1, 97, 0, 111, 99, 116, 101, 116, 0}};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  const std::span all(data, size);
  abort_if_cut_matters(all, [] {
    return [text = MailText::None](auto bytes, auto &sink) mutable {
      std::string scratch;
      return look_at_smtp(text, SmtpSession::Seen, bytes, scratch, sink);
    };
  });
  abort_if_cut_matters(all, [] {
    return [](auto bytes, auto &sink) {
      std::string scratch;
      return look_at_ftp(FtpSession::NotSeen, bytes, scratch, sink);
    };
  });
  RecordingSink sink;
  std::string scratch;
  (void)look_at_tftp(all.subspan(size > 0 ? 1 : 0), scratch, sink);
  return 0;
}
