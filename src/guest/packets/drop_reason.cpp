#include "guest/packets/drop_reason.h"

namespace outguard::guest {

const char *to_string(DropReason reason) {
  switch (reason) {
  case DropReason::LostInKernel:
    return "lost_in_kernel";
  case DropReason::BadRecord:
    return "bad_record";
  case DropReason::UnknownLink:
    return "unknown_link";
  case DropReason::LinkTooShort:
    return "link_too_short";
  case DropReason::TooManyTags:
    return "too_many_tags";
  case DropReason::NotIp:
    return "not_ip";
  case DropReason::IpTooShort:
    return "ip_too_short";
  case DropReason::BadIpHeader:
    return "bad_ip_header";
  case DropReason::TooManyExtensions:
    return "too_many_extensions";
  case DropReason::TransportTooShort:
    return "transport_too_short";
  case DropReason::BadTransportHeader:
    return "bad_transport_header";
  case DropReason::TooManyTunnels:
    return "too_many_tunnels";
  case DropReason::BadTunnelHeader:
    return "bad_tunnel_header";
  case DropReason::FragmentIncomplete:
    return "fragment_incomplete";
  case DropReason::FragmentOverlap:
    return "fragment_overlap";
  case DropReason::FragmentRepeated:
    return "fragment_repeated";
  case DropReason::FragmentBad:
    return "fragment_bad";
  }
  return "unknown";
}

} // namespace outguard::guest
