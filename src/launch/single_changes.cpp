#include "launch/single_changes.h"

#include <cerrno>

#include <sys/stat.h>

namespace outguard::launch {

namespace {

/// Also where nobody can tell: what is wrong with it shows when it is opened.
bool may_hold_bytes(const std::string &path) {
  struct stat facts {};
  return ::stat(path.c_str(), &facts) == 0 ? facts.st_size > 0 : errno != ENOENT;
}

} // namespace

std::array<std::string, 2> change_files(const std::string &folder) {
  return {folder + "/added", folder + "/removed"};
}

std::vector<FeedChoice> change_choices(const std::string &folder) {
  const auto files = change_files(folder);
  std::vector<FeedChoice> choices;
  for (const auto &file : files) {
    if (may_hold_bytes(file)) {
      FeedChoice choice;
      choice.path = file;
      choice.format = "list";
      choice.allow_reserved = true;
      choice.role = file == files[0] ? FeedRole::Indicators : FeedRole::Removals;
      choices.push_back(std::move(choice));
    }
  }
  return choices;
}

bool says_nothing(const FeedReport &changes) {
  return (changes.comments != 0 || !may_hold_bytes(changes.name)) &&
         changes.accepted + changes.duplicates + changes.rejected + changes.ignored == 0;
}

} // namespace outguard::launch
