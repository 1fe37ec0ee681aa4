#pragma once
// What a struct file is: a socket, an io_uring, or neither. Borrows the layout.

#include <optional>

#include "guest/linux/holder.h"
#include "guest/linux/kernel_reader.h"
#include "guest/linux/linux_layout.h"
#include "guest/symbols/symbol_table.h"

namespace outguard::guest {

/// struct file_operations that tell what a file is; without the one of sockets its inode does.
struct FileOperations {
  std::optional<GuestVirtual> socket, io_uring;

  [[nodiscard]] static FileOperations find(const SymbolTable &symbols) {
    return {symbols.find("socket_file_ops"), symbols.find("io_uring_fops")};
  }
};

class SocketFileReader {
public:
  SocketFileReader(const LinuxLayout &layout, const FileOperations &operations)
      : layout_(layout.file), sockets_(layout.socket), operations_(operations), file_(layout_.file),
        inode_(layout_.inode_extent), socket_(sockets_.socket) {}

  /// Without leader, descriptor and slot; nullopt: neither. Unmapped or Malformed: it changed.
  [[nodiscard]] Result<std::optional<Holder>> read(GuestVirtual file, KernelReader &reader);

private:
  [[nodiscard]] Result<bool> is_socket(KernelReader &reader);

  const FileLayout &layout_;
  const SocketLayout &sockets_;
  const FileOperations &operations_;
  ObjectCopy file_, inode_, socket_;
};

} // namespace outguard::guest
