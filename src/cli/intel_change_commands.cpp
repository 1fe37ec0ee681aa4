// intel add, remove, changes: single indicators by hand.
#include <fmt/format.h>

#include "cli/intel_feeds.h"
#include "cli/problems.h"
#include "store/intel_changes.h"
#include "store/intel_json.h"

namespace outguard::cli {

namespace {

using List = store::IntelChanges::List;

/// The canonical forms; what is wrong with a value is said, and nothing is changed then.
tl::expected<std::vector<std::string>, Exit> judged(const ChangeOptions &options, List list) {
  IntelOptions guards;
  guards.warninglists = options.warninglists;
  const auto compiled = compile(guards, {options.values, options.allow_reserved});
  if (!compiled) {
    return tl::unexpected(report(compiled.error()));
  }
  for (const auto &feed : compiled->feeds) {
    if (!feed.problem.empty()) {
      complain(GuestText(feed.name).printable() + ": " + feed.problem);
      return tl::unexpected(Exit::Failed);
    }
  }
  std::vector<std::string> canonical;
  auto worst = Exit::Ok;
  for (std::size_t i = 0; i < options.values.size(); ++i) {
    const auto &answer = compiled->judged[i];
    // What a guard refuses may be listed all the same, by somebody who allowed it: it can be
    // removed.
    const bool taken = answer.refusal.empty() || (list == List::Removed && answer.by_guard);
    if (!taken || answer.canonical.empty()) {
      complain(
          fmt::format("{}: refused: {}", GuestText(options.values[i]).printable(), answer.refusal));
      worst = answer.by_guard && worst == Exit::Ok ? Exit::Refused
              : answer.by_guard                    ? worst
                                                   : Exit::Usage;
      continue;
    }
    for (const auto &flag : answer.flags) {
      complain(fmt::format("{}: note: {}", answer.canonical.printable(), flag.printable()));
    }
    canonical.emplace_back(answer.canonical.raw());
  }
  if (worst != Exit::Ok) {
    complain("nothing was changed");
    return tl::unexpected(worst);
  }
  return canonical;
}

Exit change(const ChangeOptions &options, List list) {
  const auto values = judged(options, list);
  if (!values) {
    return values.error();
  }
  auto changes = store::IntelChanges::open(options.folder);
  if (!changes) {
    return report(changes.error());
  }
  const auto fresh = changes->put(list, *values);
  if (!fresh) {
    return report(fresh.error());
  }
  print_line(fmt::format("{} {}, {} already so; a running supervisor that watches {} takes it up",
                         *fresh, list == List::Added ? "added" : "removed", values->size() - *fresh,
                         options.folder));
  return Exit::Ok;
}

} // namespace

Exit intel_add(const ChangeOptions &options) {
  return change(options, List::Added);
}

Exit intel_remove(const ChangeOptions &options) {
  return change(options, List::Removed);
}

Exit intel_changes(const Common &common, const ChangeOptions &options) {
  const auto changes = store::IntelChanges::open(options.folder);
  if (!changes) {
    return report(changes.error());
  }
  Table table({"CHANGE", "VALUE", "NOTE"});
  for (const auto list : {List::Added, List::Removed}) {
    const auto entries = changes->read(list);
    if (!entries) {
      return report(entries.error());
    }
    const std::string word = list == List::Added ? "added" : "removed";
    for (const auto &entry : *entries) {
      if (common.format == Format::Json) {
        print_line(store::change_json(word, entry.value, entry.note));
      } else {
        table.add({word, GuestText(entry.value).printable(), GuestText(entry.note).printable()});
      }
    }
  }
  if (common.format != Format::Json) {
    table.print();
  }
  return Exit::Ok;
}

} // namespace outguard::cli
