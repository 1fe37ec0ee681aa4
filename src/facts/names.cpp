// The words that users see for the closed lists in facts/.
#include "facts/flow_seen.h"
#include "facts/kernel_seen.h"
#include "facts/match_counts.h"
#include "facts/process_detail.h"
#include "facts/socket_seen.h"
#include "facts/write_plan.h"

namespace outguard {

const char *to_string(GuestState state) {
  switch (state) {
  case GuestState::Starting:
    return "starting";
  case GuestState::Booting:
    return "booting";
  case GuestState::NotLinux:
    return "not-linux";
  case GuestState::Unreadable:
    return "unreadable";
  case GuestState::Ready:
    return "ready";
  case GuestState::Gone:
    return "gone";
  }
  return "unknown";
}

const char *to_string(SocketState state) {
  switch (state) {
  case SocketState::Unknown:
    return "UNKNOWN";
  case SocketState::Established:
    return "ESTABLISHED";
  case SocketState::SynSent:
    return "SYN_SENT";
  case SocketState::SynRecv:
    return "SYN_RECV";
  case SocketState::FinWait1:
    return "FIN_WAIT1";
  case SocketState::FinWait2:
    return "FIN_WAIT2";
  case SocketState::TimeWait:
    return "TIME_WAIT";
  case SocketState::Close:
    return "CLOSE";
  case SocketState::CloseWait:
    return "CLOSE_WAIT";
  case SocketState::LastAck:
    return "LAST_ACK";
  case SocketState::Listen:
    return "LISTEN";
  case SocketState::Closing:
    return "CLOSING";
  case SocketState::NewSynRecv:
    return "NEW_SYN_RECV";
  }
  return "UNKNOWN";
}

const char *to_string(OwnerStatus status) {
  switch (status) {
  case OwnerStatus::Exact:
    return "exact";
  case OwnerStatus::None:
    return "none";
  case OwnerStatus::Kernel:
    return "kernel";
  case OwnerStatus::Unknown:
    break;
  }
  return "unknown";
}

const char *to_string(ObservableKind kind) {
  switch (kind) {
  case ObservableKind::RemoteAddress:
    return "remote-address";
  case ObservableKind::RemoteEndpoint:
    return "remote-endpoint";
  case ObservableKind::DnsName:
    return "dns-name";
  case ObservableKind::HttpHost:
    return "http-host";
  case ObservableKind::HttpUrl:
    return "http-url";
  case ObservableKind::TlsServerName:
    return "tls-sni";
  case ObservableKind::DnsAnswerName:
    return "dns-answer-name";
  case ObservableKind::DnsAnswerAddress:
    return "dns-answer-address";
  case ObservableKind::HttpMethod:
    return "http-method";
  case ObservableKind::HttpUserAgent:
    return "http-user-agent";
  case ObservableKind::TlsVersion:
    return "tls-version";
  case ObservableKind::TlsAlpn:
    return "tls-alpn";
  case ObservableKind::TlsJa3:
    return "tls-ja3";
  case ObservableKind::TlsJa4:
    return "tls-ja4";
  case ObservableKind::CertificateSha1:
    return "certificate-sha1";
  case ObservableKind::CertificateSha256:
    return "certificate-sha256";
  case ObservableKind::CertificateName:
    return "certificate-name";
  case ObservableKind::SshBanner:
    return "ssh-banner";
  case ObservableKind::SshHassh:
    return "ssh-hassh";
  case ObservableKind::SshHasshServer:
    return "ssh-hassh-server";
  case ObservableKind::MailHost:
    return "mail-host";
  case ObservableKind::FileName:
    return "file-name";
  case ObservableKind::ProxyTarget:
    return "proxy-target";
  case ObservableKind::ExecutableHash:
    return "executable-hash";
  }
  return "unknown";
}

const char *to_string(IndicatorType type) {
  switch (type) {
  case IndicatorType::Address:
    return "address";
  case IndicatorType::Network:
    return "network";
  case IndicatorType::Endpoint:
    return "endpoint";
  case IndicatorType::Domain:
    return "domain";
  case IndicatorType::Url:
    return "url";
  case IndicatorType::UrlPath:
    return "url-path";
  case IndicatorType::Ja3:
    return "ja3";
  case IndicatorType::Ja4:
    return "ja4";
  case IndicatorType::Hassh:
    return "hassh";
  case IndicatorType::CertificateSha1:
    return "certificate-sha1";
  case IndicatorType::CertificateSha256:
    return "certificate-sha256";
  case IndicatorType::FileMd5:
    return "file-md5";
  case IndicatorType::FileSha1:
    return "file-sha1";
  case IndicatorType::FileSha256:
    return "file-sha256";
  }
  return "unknown";
}

const char *to_string(Tlp tlp) {
  switch (tlp) {
  case Tlp::Unknown:
    break;
  case Tlp::Clear:
    return "clear";
  case Tlp::Green:
    return "green";
  case Tlp::Amber:
    return "amber";
  case Tlp::AmberStrict:
    return "amber+strict";
  case Tlp::Red:
    return "red";
  }
  return "";
}

const char *to_string(AttributionStatus status) {
  switch (status) {
  case AttributionStatus::Exact:
    return "exact";
  case AttributionStatus::Listener:
    return "listener";
  case AttributionStatus::Cached:
    return "cached";
  case AttributionStatus::OwnerGone:
    return "owner_gone";
  case AttributionStatus::NotFound:
    return "not_found";
  case AttributionStatus::Unavailable:
    return "unavailable";
  }
  return "unknown";
}

const char *to_string(EndReason reason) {
  switch (reason) {
  case EndReason::Timeout:
    return "timeout";
  case EndReason::Forced:
    return "forced";
  case EndReason::Shutdown:
    return "shutdown";
  case EndReason::TcpReuse:
    return "tcp_reuse";
  }
  return "unknown";
}

const char *to_string(ProcessFate fate) {
  switch (fate) {
  case ProcessFate::Alive:
    return "alive";
  case ProcessFate::Exited:
    return "exited";
  case ProcessFate::Gone:
    return "gone";
  case ProcessFate::Unknown:
    return "unknown";
  case ProcessFate::Stopped:
    return "stopped";
  case ProcessFate::Uninterruptible:
    return "uninterruptible";
  }
  return "unknown";
}

const char *to_string(ProcessView view) {
  switch (view) {
  case ProcessView::TaskList:
    return "task_list";
  case ProcessView::PidTable:
    return "pid_table";
  case ProcessView::ThreadList:
    return "thread_list";
  case ProcessView::RunQueue:
    return "run_queue";
  case ProcessView::Cgroup:
    return "cgroup";
  case ProcessView::ParentList:
    return "parent_list";
  case ProcessView::Scan:
    return "scan";
  }
  return "unknown";
}

const char *to_string(Hold hold) {
  switch (hold) {
  case Hold::Descriptor:
    return "descriptor";
  case Hold::InFlight:
    return "in_flight";
  case Hold::IoUring:
    return "io_uring";
  }
  return "unknown";
}

const char *to_string(FileHash::Status status) {
  switch (status) {
  case FileHash::Status::Complete:
    return "complete";
  case FileHash::Status::Partial:
    return "partial";
  case FileHash::Status::Changed:
    return "changed";
  case FileHash::Status::TooLarge:
    return "too_large";
  case FileHash::Status::Unreadable:
    return "unreadable";
  }
  return "unknown";
}

} // namespace outguard
