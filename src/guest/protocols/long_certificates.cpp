#include "guest/protocols/long_certificates.h"

namespace outguard::guest {

std::uint32_t LongCertificates::begin() {
  last_ = last_ == UINT32_MAX ? 1 : last_ + 1;
  Slot &slot = slot_of(last_);
  if (slot.number != 0) {
    lose(slot.number);
  }
  slot.number = last_;
  return last_;
}

void LongCertificates::lose(std::uint32_t number) {
  ++lost_;
  Slot &slot = slot_of(number);
  if (number == 0 || slot.number != number) {
    return;
  }
  std::string unused;
  (void)slot.sha1.finish(unused);
  (void)slot.sha256.finish(unused);
  slot.number = 0;
}

bool LongCertificates::add(std::uint32_t number, std::span<const std::uint8_t> bytes) {
  Slot &slot = slot_of(number);
  if (slot.number != number) {
    return false;
  }
  slot.sha1.add(bytes);
  slot.sha256.add(bytes);
  return true;
}

void LongCertificates::end(std::uint32_t number, std::string &scratch, ObservableSink &sink) {
  Slot &slot = slot_of(number);
  if (slot.number != number) {
    return;
  }
  slot.number = 0;
  scratch.clear();
  if (slot.sha1.finish(scratch)) {
    sink.observe({ObservableKind::CertificateSha1, HostForm::NoHost, scratch});
  }
  scratch.clear();
  if (slot.sha256.finish(scratch)) {
    sink.observe({ObservableKind::CertificateSha256, HostForm::NoHost, scratch});
  }
}

} // namespace outguard::guest
