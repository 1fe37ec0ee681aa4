#include "launch/intel_compiler_process.h"

#include <algorithm>
#include <filesystem>
#include <iterator>

#include <fcntl.h>
#include <sys/mman.h>

#include "launch/sensor_process.h"

namespace outguard::launch {

namespace {

constexpr std::chrono::minutes kFeedWait{5};
constexpr std::size_t kMaxFeedFiles = 10'000;
constexpr int kMaxListDepth = 3; ///< of folders with warninglists

FeedReport unreadable(const std::string &path, std::string problem) {
  FeedReport report;
  report.name = path;
  report.problem = std::move(problem);
  return report;
}

/// What nobody would miss in silence; empty: nothing is left out of what was given.
std::string left_out(const FeedChoice &choice, bool any_file) {
  namespace fs = std::filesystem;
  std::error_code problem;
  std::size_t below = 0;
  for (fs::directory_iterator at(choice.path, problem), end; !problem && at != end;
       at.increment(problem)) {
    std::error_code ignored;
    const bool hidden = at->path().filename().string().starts_with('.');
    below += !hidden && at->is_directory(ignored) ? 1U : 0U;
  }
  if (choice.role == FeedRole::WarningList) {
    return any_file ? "" : choice.path + ": no *.json in this folder";
  }
  if (below != 0) { // a file is no folder: there is none below it
    return choice.path + ": folders in it are not read, " + std::to_string(below) +
           " here: give each by its own name";
  }
  return any_file ? "" : choice.path + ": no file in this folder";
}

Result<std::vector<FeedReport>> add_feed(SensorProcess &compiler, const std::string &path,
                                         const FeedChoice &choice) {
  // O_NONBLOCK: a named pipe in the folder must not hold the start up.
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) {
    return std::vector{unreadable(path, fail_errno("cannot be opened").value().message)};
  }
  const int raw = file.get();
  AddFeed request;
  request.name = choice.name.empty() ? path : choice.name;
  request.allow_reserved = choice.allow_reserved;
  request.format = choice.format;
  request.role = choice.role;
  auto report = compiler.call(request, {&raw, 1}, kFeedWait);
  if (!report) {
    return tl::unexpected(report.error());
  }
  if (auto *answer = std::get_if<FeedReports>(&*report)) {
    return std::move(answer->feeds);
  }
  return fail(ErrorCode::InvalidInput, "the compiler did not answer with feed reports");
}

Result<Fd> compile(SensorProcess &compiler, const CompileIntel &kind, IntelReport &totals) {
  Fd image(::memfd_create("outguard-intel", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!image) {
    return fail_errno("memfd_create");
  }
  const int raw = image.get();
  auto report = compiler.call(kind, {&raw, 1}, kFeedWait);
  if (!report) {
    return tl::unexpected(report.error());
  }
  auto *compiled = std::get_if<IntelReport>(&*report);
  if (compiled == nullptr) {
    return fail(ErrorCode::InvalidInput, "the compiler did not answer with its report");
  }
  totals = std::move(*compiled);
  if (!totals.problem.empty()) {
    return Fd();
  }
  if (::fcntl(image.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) !=
      0) {
    return fail_errno("sealing the intelligence image");
  }
  return image;
}

Result<std::vector<ValueJudged>> judge(SensorProcess &compiler, const ValuesToJudge &asked) {
  std::vector<ValueJudged> all;
  for (const auto &value : asked.values) {
    auto report = compiler.call(JudgeValue{value, asked.allow_reserved}, {}, kFeedWait);
    if (!report) {
      return tl::unexpected(report.error());
    }
    auto *judged = std::get_if<ValueJudged>(&*report);
    if (judged == nullptr) {
      return fail(ErrorCode::InvalidInput, "the compiler did not say what it makes of a value");
    }
    all.push_back(std::move(*judged));
  }
  return all;
}

} // namespace

Result<std::vector<std::string>> expand(const FeedChoice &choice) {
  namespace fs = std::filesystem;
  std::error_code problem;
  if (!fs::is_directory(choice.path, problem)) {
    return std::vector{choice.path}; // what is wrong with it shows when it is opened
  }
  const bool below = choice.role == FeedRole::WarningList; // each is a list.json in its own folder
  std::vector<std::string> files;
  for (fs::recursive_directory_iterator at(choice.path, problem), end; !problem && at != end;
       at.increment(problem)) {
    const bool hidden = at->path().filename().string().starts_with('.');
    std::error_code unknown; // a link that leads nowhere shows when it is opened, too
    if (!below || hidden || at.depth() >= kMaxListDepth) {
      at.disable_recursion_pending();
    }
    if (!hidden && (at->is_regular_file(unknown) || unknown) &&
        (!below || at->path().extension() == ".json")) {
      files.push_back(at->path().string());
    }
    if (files.size() > kMaxFeedFiles) {
      return fail(ErrorCode::LimitReached, choice.path + ": more than 10,000 files");
    }
  }
  if (problem) {
    return fail(ErrorCode::SystemFailed, choice.path + ": " + problem.message());
  }
  std::sort(files.begin(), files.end());
  return files;
}

namespace {

Result<CompiledIntel> compile_all(const std::vector<FeedChoice> &choices,
                                  const ValuesToJudge &asked, const CompileIntel &kind,
                                  const std::stop_token &stop) {
  auto compiler = SensorProcess::start(SensorRole::CompileIntel);
  if (!compiler) {
    return tl::unexpected(compiler.error());
  }
  const std::stop_callback ending(stop, [&compiler] { compiler->stop(); });
  // Guards judge what comes after them.
  auto in_order = choices;
  std::stable_partition(in_order.begin(), in_order.end(), [](const FeedChoice &choice) {
    return choice.role == FeedRole::WarningList;
  });
  CompiledIntel compiled;
  for (const auto &choice : in_order) {
    const auto files = expand(choice);
    if (!files) {
      compiled.feeds.push_back(unreadable(choice.path, files.error().message));
      continue;
    }
    if (auto note = left_out(choice, !files->empty()); !note.empty()) {
      compiled.left_out.push_back(std::move(note));
    }
    for (const auto &file : *files) {
      auto feeds = add_feed(*compiler, file, choice);
      if (!feeds) {
        return tl::unexpected(feeds.error());
      }
      std::move(feeds->begin(), feeds->end(), std::back_inserter(compiled.feeds));
    }
  }
  auto judged = judge(*compiler, asked);
  if (!judged) {
    return tl::unexpected(judged.error());
  }
  compiled.judged = std::move(*judged);
  auto image = compile(*compiler, kind, compiled.totals);
  if (!image) {
    return tl::unexpected(image.error());
  }
  compiled.image = std::move(*image);
  return compiled;
}

} // namespace

Result<CompiledIntel> compile_intel(const std::vector<FeedChoice> &choices,
                                    const ValuesToJudge &asked, const std::stop_token &stop) {
  return compile_all(choices, asked, CompileIntel{}, stop);
}

Result<CompiledIntel> compile_delta(const std::vector<FeedChoice> &choices,
                                    const std::stop_token &stop) {
  return compile_all(choices, {}, CompileIntel{true}, stop);
}

} // namespace outguard::launch
