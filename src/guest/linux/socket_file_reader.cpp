#include "guest/linux/socket_file_reader.h"

namespace outguard::guest {
namespace {

constexpr std::uint64_t kTypeMask = 0170000, kSocketType = 0140000; // S_IFMT, S_IFSOCK

} // namespace

Result<bool> SocketFileReader::is_socket(KernelReader &reader) {
  if (operations_.socket) {
    return file_.pointer(layout_.operations) == *operations_.socket;
  }
  const auto loaded = inode_.load(reader, file_.pointer(layout_.inode));
  if (!loaded) {
    return tl::unexpected(loaded.error());
  }
  return (inode_.number(layout_.inode_mode) & kTypeMask) == kSocketType;
}

Result<std::optional<Holder>> SocketFileReader::read(GuestVirtual file, KernelReader &reader) {
  if (const auto loaded = file_.load(reader, file); !loaded) {
    return tl::unexpected(loaded.error());
  }
  const GuestVirtual target = file_.pointer(layout_.private_data);
  if (operations_.io_uring && file_.pointer(layout_.operations) == *operations_.io_uring) {
    return Holder{0, -1, {}, file, target, {}, 0};
  }
  const auto answer = is_socket(reader);
  if (!answer) {
    return tl::unexpected(answer.error());
  }
  if (!*answer) {
    return std::nullopt;
  }
  if (const auto loaded = socket_.load(reader, target.minus_wrapping(sockets_.socket_in_alloc));
      !loaded) {
    return tl::unexpected(loaded.error());
  }
  if (socket_.pointer(sockets_.socket_file) != file) {
    return fault(FaultCode::Malformed, file.raw()); // being made or taken down, or reused
  }
  const GuestVirtual sock = socket_.pointer(sockets_.socket_sock);
  if (sock.is_null()) {
    return std::nullopt; // being made or closed: nobody's connection
  }
  return Holder{0, -1, {}, file, target, sock, socket_.number(sockets_.socket_inode)};
}

} // namespace outguard::guest
