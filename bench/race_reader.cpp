// Reads a guest that plays `churn` as fast as it can and checks what can be decided of every row: a
// process named p or x and a number has that pid, its arguments name it and its parent, and who
// holds a socket of port 20000 + N is N. Prints one JSON object.
//
//   race_reader TARGET SECONDS
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "live_guest.h"

namespace {

using namespace outguard;

constexpr std::int32_t kFirstPort = 20000;
constexpr std::int32_t kMostPids = 32768;
constexpr std::size_t kMostTold = 20;
constexpr std::size_t kMostAsked = 10; ///< flows, after each table

struct Tally {
  std::vector<double> took; ///< microseconds a call
  std::size_t rows = 0, decided = 0, torn = 0, partial = 0;
};

struct Wrong {
  std::size_t count = 0;
  std::vector<std::string> told;

  void add(std::string what) {
    ++count;
    if (told.size() < kMostTold) {
      std::replace(what.begin(), what.end(), '"', '\'');
      told.push_back(std::move(what));
    }
  }
};

/// The pid in "p123" or "x123"; 0 for any other name.
std::int32_t pid_in(const GuestText &text) {
  const std::string comm(text.raw());
  const bool fits = comm.size() > 1 && (comm[0] == 'p' || comm[0] == 'x') &&
                    comm.find_first_not_of("0123456789", 1) == std::string::npos;
  return fits ? std::atoi(comm.c_str() + 1) : 0;
}

bool is_by_itself(std::int32_t port) {
  return port > kFirstPort && port < kFirstPort + kMostPids;
}

/// Why the row mixes two processes, or two lives of one; empty when it does not.
std::string contradiction(const ProcessSeen &row) {
  const std::string comm(row.comm.raw());
  const std::int32_t pid = row.identity.pid;
  const std::int32_t told = pid_in(row.comm);
  if (told != 0 && told != pid) {
    return fmt::format("{} is named {}", pid, comm);
  }
  if (!row.cmdline || row.cmdline->empty()) {
    return {}; // it ends, or is just being executed
  }
  const auto word = [&](std::size_t at) { return std::string((*row.cmdline)[at].raw()); };
  const bool second_life = word(0) == "churn-again";
  if (!second_life) {
    return comm[0] == 'x' && told != 0 ? fmt::format("{} {} has arguments of before", pid, comm)
                                       : std::string();
  }
  if (row.cmdline->size() != 3 || word(1) != std::to_string(pid) ||
      (row.ppid && word(2) != std::to_string(*row.ppid))) {
    return fmt::format("{} of {}: arguments {}", pid, row.ppid.value_or(-1),
                       word(1) + " " + word(2));
  }
  return comm[0] == 'p' && told != 0 ? fmt::format("{} {} has arguments of after", pid, comm)
                                     : std::string();
}

std::string worst(const Tally &tally) {
  return fmt::format(
      R"({{"calls": {}, "rows": {}, "decided": {}, "torn": {}, "partial": {}, "us": {}}})",
      tally.took.size(), tally.rows, tally.decided, tally.torn, tally.partial,
      percentiles(tally.took));
}

class Reader {
public:
  explicit Reader(guest::LinuxGuest &guest) : guest_(guest) {}

  void read_processes();
  void read_sockets();
  void ask_owners();
  void print() const;

private:
  guest::LinuxGuest &guest_;
  Tally processes_, sockets_, owners_;
  Wrong wrong_;
  std::vector<FlowTuple> flows_;
};

void Reader::read_processes() {
  const auto start = monotonic_now();
  const auto seen = guest_.processes();
  processes_.took.push_back(microseconds_since(start));
  processes_.partial += seen.completeness.complete() ? 0U : 1U;
  for (const ProcessSeen &row : seen.processes) {
    ++processes_.rows;
    processes_.torn += row.torn ? 1U : 0U;
    processes_.decided += pid_in(row.comm) != 0 ? 1U : 0U;
    const auto why = row.torn ? std::string() : contradiction(row);
    if (!why.empty()) {
      wrong_.add("ps: " + why);
    }
  }
}

void Reader::read_sockets() {
  const auto start = monotonic_now();
  const auto seen = guest_.sockets();
  sockets_.took.push_back(microseconds_since(start));
  sockets_.partial += seen.completeness.complete() ? 0U : 1U;
  flows_.clear();
  for (const SocketSeen &row : seen.sockets) {
    ++sockets_.rows;
    if (!is_by_itself(row.local.port)) {
      continue;
    }
    for (const auto &owner : row.owners) {
      ++sockets_.decided;
      if (owner.process.pid != row.local.port - kFirstPort) {
        wrong_.add(fmt::format("sockets: port {} is held by {} {}", row.local.port,
                               owner.process.pid, owner.comm.raw()));
      }
    }
    if (row.remote.port != 0 && flows_.size() < kMostAsked) {
      flows_.push_back({row.protocol, row.local, row.remote});
    }
  }
}

void Reader::ask_owners() {
  for (const FlowTuple &flow : flows_) {
    const auto start = monotonic_now();
    const auto answer = guest_.attribute(flow, wall_now());
    owners_.took.push_back(microseconds_since(start));
    ++owners_.rows;
    for (const ProcessSeen &process : answer.processes) {
      ++owners_.decided;
      if (process.identity.pid != flow.local.port - kFirstPort) {
        wrong_.add(fmt::format("who: port {} is {}'s, {}", flow.local.port, process.identity.pid,
                               to_string(answer.status)));
      }
    }
  }
}

void Reader::print() const {
  std::string told;
  for (const std::string &line : wrong_.told) {
    told += (told.empty() ? "" : ", ") + ("\"" + line + "\"");
  }
  fmt::print(R"({{"ps": {}, "sockets": {}, "who": {}, "wrong": {}, "wrong_rows": [{}]}})"
             "\n",
             worst(processes_), worst(sockets_), worst(owners_), wrong_.count, told);
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 3) {
    std::fputs("usage: race_reader TARGET SECONDS\n", stderr);
    return 2;
  }
  const auto live = attach_to(argv[1]);
  Reader reader(*live.linux_guest);
  const auto end = monotonic_now() + std::chrono::seconds(std::max(1, std::atoi(argv[2])));
  while (monotonic_now() < end) {
    reader.read_processes();
    reader.read_sockets();
    reader.ask_owners();
  }
  reader.print();
  return 0;
}
