#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "hypervisor/memory_opener.h"
#include "hypervisor/unix_socket.h"

namespace outguard::hypervisor {
namespace {

using std::chrono::milliseconds;

class UnixSocketTest : public testing::Test {
protected:
  UnixSocketTest() {
    std::filesystem::remove(path_);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<const sockaddr *>(&address), sizeof address),
              0);
  }
  ~UnixSocketTest() override { std::filesystem::remove(path_); }

  /// As QEMU does while a client is connected: listens, and accepts nobody.
  void fill_queue() {
    ASSERT_EQ(::listen(listener_.get(), 0), 0);
    while (auto waits = connect_unix(path_, milliseconds(0))) {
      clients_.push_back(std::move(waits->socket));
      ASSERT_LT(clients_.size(), 100U);
    }
  }
  [[nodiscard]] ErrorCode error() const {
    return connect_unix(path_, milliseconds(20)).error().code;
  }

  std::string path_ = testing::TempDir() + "unix_socket." + std::to_string(::getpid());
  Fd listener_{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  std::vector<Fd> clients_;
};

TEST_F(UnixSocketTest, NobodyThereNobodyListeningAndAFullQueueAreTold) {
  EXPECT_EQ(error(), ErrorCode::Unreachable);
  fill_queue();
  EXPECT_EQ(error(), ErrorCode::Timeout);
  std::filesystem::remove(path_);
  EXPECT_EQ(error(), ErrorCode::NotFound);
}

TEST_F(UnixSocketTest, ABusyQemuIsNotTakenForOneWithoutQmp) {
  fill_queue();
  VmFound vm;
  vm.qmp_path = path_;
  EXPECT_EQ(open_memory(vm).error().code, ErrorCode::Timeout);
}

} // namespace
} // namespace outguard::hypervisor
