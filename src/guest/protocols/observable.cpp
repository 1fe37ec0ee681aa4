#include "guest/protocols/observable.h"

namespace outguard::guest {

const char *to_string(AppProtocol protocol) {
  switch (protocol) {
  case AppProtocol::None:
    return "";
  case AppProtocol::Dns:
    return "dns";
  case AppProtocol::Http:
    return "http";
  case AppProtocol::Tls:
    return "tls";
  case AppProtocol::Quic:
    return "quic";
  case AppProtocol::Ssh:
    return "ssh";
  case AppProtocol::Smtp:
    return "smtp";
  case AppProtocol::Ftp:
    return "ftp";
  case AppProtocol::Tftp:
    return "tftp";
  case AppProtocol::Socks:
    return "socks";
  }
  return "";
}

} // namespace outguard::guest
