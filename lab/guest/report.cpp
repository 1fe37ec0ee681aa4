#include "report.h"

#include <cstdlib>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace lab {
namespace {

int ready_pipe() {
  const char *text = std::getenv(kReadyVariable);
  return text == nullptr ? -1 : std::atoi(text);
}

void tell(const std::string &line) {
  if (const int pipe = ready_pipe(); pipe >= 0) {
    [[maybe_unused]] const ssize_t ignored = write(pipe, line.data(), line.size());
  }
}

} // namespace

void announce(const std::string &key, long value) {
  tell(key + "=" + std::to_string(value) + "\n");
}

void ready() {
  tell("ready\n");
  if (const int pipe = ready_pipe(); pipe >= 0)
    close(pipe);
  unsetenv(kReadyVariable);
}

TalkCounter::TalkCounter(std::string role)
    : role_(std::move(role)), file_(open(("/run/talk/" + std::to_string(getpid())).c_str(),
                                         O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) {
  write_out();
}

TalkCounter::~TalkCounter() {
  close(file_);
}

void TalkCounter::count() {
  ++exchanges_;
  write_out();
}

void TalkCounter::write_out() const {
  // Grows only, so a reader sees an old or a new count, never a mixture that is shorter.
  const std::string line = role_ + " " + std::to_string(exchanges_) + "\n";
  [[maybe_unused]] const ssize_t ignored = pwrite(file_, line.data(), line.size(), 0);
}

} // namespace lab
