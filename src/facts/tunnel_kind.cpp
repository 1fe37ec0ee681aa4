#include "facts/tunnel_kind.h"

namespace outguard {

const char *to_string(TunnelKind kind) {
  switch (kind) {
  case TunnelKind::None:
    return "none";
  case TunnelKind::Mpls:
    return "mpls";
  case TunnelKind::Pppoe:
    return "pppoe";
  case TunnelKind::Gre:
    return "gre";
  case TunnelKind::IpInIp:
    return "ipip";
  case TunnelKind::Vxlan:
    return "vxlan";
  case TunnelKind::Geneve:
    return "geneve";
  case TunnelKind::Teredo:
    return "teredo";
  }
  return "unknown";
}

} // namespace outguard
