// Many: short connections, idle processes, sockets.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net.h"
#include "roles.h"

namespace lab {
namespace {

constexpr long kMaxProcesses = 2000;
constexpr long kMaxSockets = 10000; // in one process
constexpr long kMaxMaps = 60000;    // vm.max_map_count is 65530

// DEST INTERVAL: a new process each time, that connects, sends, and ends at once.
int storm(const Arguments &arguments) {
  const Endpoint destination = parse_endpoint(arguments.at(0));
  const Duration interval = parse_seconds(arguments.at(1));
  TalkCounter counter("storm");
  for (;;) {
    const pid_t child = fork();
    if (child == 0) {
      const int connection = try_connect(destination);
      _exit(connection >= 0 && send_all(connection, "storm\n") ? 0 : 1);
    }
    int status = 1;
    waitpid(child, &status, 0);
    if (status == 0)
      counter.count();
    ready();
    sleep_for(interval);
  }
}

// `count` sockets of this process, in turn: a listener, both ends of a connection to it, UDP, UDP6.
void open_sockets(long count) {
  int listener = -1;
  for (long number = 0; number < count; ++number) {
    switch (number % 5) {
    case 0:
      listener = listen_at(parse_endpoint("127.0.0.1:0"));
      break;
    case 1:
      if (try_connect(parse_endpoint("127.0.0.1:" + std::to_string(local_port(listener)))) < 0)
        fail("connect");
      break;
    case 2:
      if (accept(listener, nullptr, nullptr) < 0)
        fail("accept");
      break;
    default: {
      const Endpoint any = parse_endpoint(number % 5 == 3 ? "0.0.0.0:0" : "[::]:0");
      if (bind(make_socket(any.family(), SOCK_DGRAM), any.address(), any.length) != 0)
        fail("bind");
    }
    }
  }
}

// PROCESSES SOCKETS: so many idle children, each with so many sockets; ready when all are.
int crowd(const Arguments &arguments) {
  const long processes = std::min(parse_number(arguments.at(0)), kMaxProcesses);
  const long sockets = std::min(parse_number(arguments.at(1)), kMaxSockets);
  const rlimit files{kMaxSockets + 64, kMaxSockets + 64};
  setrlimit(RLIMIT_NOFILE, &files);
  int ends[2];
  if (pipe(ends) != 0)
    fail("pipe");
  for (long number = 0; number < processes; ++number) {
    const pid_t child = fork();
    if (child < 0)
      fail("fork");
    if (child == 0) {
      close(ends[0]);
      open_sockets(sockets);
      if (write(ends[1], "x", 1) != 1)
        fail("pipe");
      stay();
    }
    // One after the other: fewer surprises on a slow guest, and a first failure stops the rest.
    char byte;
    if (read(ends[0], &byte, 1) != 1)
      fail("child");
  }
  stay_ready();
}

// COUNT: about so many mappings, no two neighbours alike, and one of each odd kind: shared, of a
// file from its middle, of a memfd, of a deleted file.
int many_maps(const Arguments &arguments) {
  const long count = std::min(parse_number(arguments.at(0)), kMaxMaps);
  constexpr size_t kPage = 4096;
  const auto pages = static_cast<size_t>(count);
  auto *block = static_cast<char *>(
      mmap(nullptr, pages * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  if (block == MAP_FAILED)
    fail("mmap");
  for (size_t page = 1; page < pages; page += 2) {
    if (mprotect(block + page * kPage, kPage, PROT_READ) != 0)
      fail("mprotect");
  }
  const int program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  const int memory = memfd_create("odd name\n", MFD_CLOEXEC);
  const std::string path = "/tmp/mapped-" + std::to_string(getpid());
  const int gone = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (program < 0 || memory < 0 || gone < 0 || ftruncate(memory, kPage) != 0 ||
      ftruncate(gone, kPage) != 0 || unlink(path.c_str()) != 0)
    fail("files");
  constexpr int kBoth = PROT_READ | PROT_WRITE;
  for (void *mapped : {mmap(nullptr, kPage, kBoth, MAP_SHARED | MAP_ANONYMOUS, -1, 0),
                       mmap(nullptr, kPage, PROT_READ | PROT_EXEC, MAP_PRIVATE, program, 8 * kPage),
                       mmap(nullptr, kPage, kBoth, MAP_SHARED, memory, 0),
                       mmap(nullptr, kPage, kBoth, MAP_PRIVATE, gone, 0)}) {
    if (mapped == MAP_FAILED)
      fail("mmap");
  }
  stay_ready();
}

} // namespace

std::vector<Role> load_roles() {
  return {
      {"storm", "DEST INTERVAL", storm},
      {"crowd", "PROCESSES SOCKETS_EACH", crowd},
      {"many-maps", "COUNT", many_maps},
  };
}

} // namespace lab
