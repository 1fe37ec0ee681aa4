#pragma once
// One process in depth: its threads, what is mapped into it, and the hash of its executable as the
// guest's page cache holds it.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "facts/guest_text.h"
#include "facts/process_seen.h"

namespace outguard {

struct ThreadSeen {
  std::int32_t tid = 0; ///< in the root pid namespace
  GuestText comm;
  char state = '?'; ///< letter of /proc/PID/task/TID/stat

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.tid, self.comm, self.state);
  }
};

/// One line of /proc/PID/maps.
struct MapSeen {
  std::uint64_t start = 0, end = 0; ///< in the process's address space
  bool readable = false, writable = false, executable = false, shared = false;
  std::uint64_t offset = 0;      ///< into the file, bytes
  std::uint64_t inode = 0;       ///< 0: no file
  std::optional<GuestText> path; ///< as /proc/PID/maps prints it; empty: anonymous
  bool deleted = false;

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.start, self.end, self.readable, self.writable, self.executable, self.shared,
         self.offset, self.inode, self.path, self.deleted);
  }
};

/// Digests of a file's bytes in the guest's page cache.
struct FileHash {
  enum class Status : std::uint8_t {
    Complete,   ///< every page was resident: this is the file's hash
    Partial,    ///< some pages were not: there is no hash; the share is in resident_bytes
    Changed,    ///< the file was written while it was read, also after a retry
    TooLarge,   ///< more than we are willing to read
    Unreadable, ///< the file or its page cache could not be found
  };
  Status status = Status::Unreadable;
  std::array<std::uint8_t, 32> sha256{}; ///< meaningful when Complete
  std::uint64_t file_bytes = 0;
  std::uint64_t resident_bytes = 0;
  /// nullopt: not Complete, or not offered by the host's OpenSSL.
  std::optional<std::array<std::uint8_t, 20>> sha1 = {};
  std::optional<std::array<std::uint8_t, 16>> md5 = {};

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.status, self.sha256, self.file_bytes, self.resident_bytes, self.sha1, self.md5);
  }
};
[[nodiscard]] const char *to_string(FileHash::Status status);

struct ProcessDetail {
  ProcessSeen process;
  std::vector<Ancestor> ancestors; ///< parent first, up to pid 1
  bool ancestors_cut = false;      ///< there are more, and they could not be read
  std::vector<ThreadSeen> threads;
  std::optional<FileHash> executable; ///< nullopt: not asked for, or a kernel thread

  template <class Self, class Wire> static void fields(Self &self, Wire &wire) {
    wire(self.process, self.ancestors, self.ancestors_cut, self.threads, self.executable);
  }
};

} // namespace outguard
