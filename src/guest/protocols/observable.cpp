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
  }
  return "";
}

} // namespace outguard::guest
