// How a role tells the agent what happens: once "I am set up", then a count of successful
// exchanges.
#pragma once

#include <string>

namespace lab {

// Tells a fact that `run` answers with, such as a child's pid. Only before `ready`.
void announce(const std::string &key, long value);

// The role is in the state that its name promises: `run` returns now. Later calls do nothing.
void ready();

// Counts successful exchanges in /run/talk/PID, where the agent's `talk` finds them.
// Belongs to the process that made it: after a fork the child makes its own.
class TalkCounter {
public:
  explicit TalkCounter(std::string role);
  ~TalkCounter();
  TalkCounter(const TalkCounter &) = delete;
  TalkCounter &operator=(const TalkCounter &) = delete;

  void count();

private:
  void write_out() const;

  std::string role_;
  int file_;
  long exchanges_ = 0;
};

// The environment through which the agent hands a role its name and the pipe for `announce`.
inline constexpr const char *kRoleVariable = "LAB_ROLE";
inline constexpr const char *kReadyVariable = "LAB_READY_FD";

} // namespace lab
