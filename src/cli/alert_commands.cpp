// alert list, alert follow: the supervisor's EVE file for people. run: becomes the supervisor.
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include <fcntl.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/problems.h"
#include "store/eve_reader.h"

namespace outguard::cli {

namespace {

void show(const Common &common, const std::string &line) {
  if (const auto readable = store::alert_line_from_eve(line)) {
    print_line(common.format == Format::Json ? line : *readable);
  }
}

/// Shows whole lines from where the stream stands; a line still being written is left for later.
void show_new_lines(const Common &common, std::ifstream &file) {
  std::string line;
  for (auto start = file.tellg(); std::getline(file, line); start = file.tellg()) {
    if (file.eof()) {
      file.clear();
      file.seekg(start);
      return;
    }
    show(common, line);
  }
  file.clear();
}

Result<std::ifstream> open_eve(const std::string &path) {
  std::ifstream file(path);
  if (!file) {
    return fail(ErrorCode::NotFound,
                path + ": cannot be read; has `outguard run` written alerts there? (--eve FILE)");
  }
  return file;
}

} // namespace

Exit alert_list(const Common &common, const std::string &eve_file) {
  auto file = open_eve(eve_file);
  if (!file) {
    return report(file.error());
  }
  show_new_lines(common, *file);
  return Exit::Ok;
}

Exit alert_follow(const Common &common, const std::string &eve_file) {
  constexpr std::chrono::milliseconds kPoll{100};
  auto file = open_eve(eve_file);
  if (!file) {
    return report(file.error());
  }
  while (true) { // until the user ends it
    show_new_lines(common, *file);
    std::fflush(stdout);
    std::this_thread::sleep_for(kPoll);
    // Rotated or cut: start over at the new file's beginning.
    std::error_code gone;
    const auto size = std::filesystem::file_size(eve_file, gone);
    if (!gone && file->tellg() > static_cast<std::streamoff>(size)) {
      *file = std::ifstream(eve_file);
    }
  }
}

Exit become_supervisor(const std::vector<std::string> &arguments) {
  std::error_code problem;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", problem);
  const auto program = (self.parent_path() / "outguardd").string();
  std::vector<char *> raw{const_cast<char *>("outguardd")};
  for (const auto &argument : arguments) {
    raw.push_back(const_cast<char *>(argument.c_str()));
  }
  raw.push_back(nullptr);
  ::execv(program.c_str(), raw.data());
  return report(fail_errno(program).value());
}

} // namespace outguard::cli
