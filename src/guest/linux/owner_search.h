#pragma once
// One socket -> every process that holds it, looking where it most likely is: who held its file
// when last looked at, who is new, who was an owner lately, who is young; then everybody. Ends as
// soon as as many descriptors were found as the file has references: then all are known. Borrows
// layout and task list; owns a memory of processes and files, each by address and identity. One
// thread at a time.

#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "guest/linux/owner_hints.h"
#include "guest/linux/socket_walker.h"
#include "guest/linux/task_list.h"
#include "guest/symbols/type_table.h"

namespace outguard::guest {

/// How far a search goes before it gives up.
enum class Reach : std::uint8_t {
  Likely,    ///< a few dozen processes: it costs the same in any guest
  Everybody, ///< every process there is
};

class OwnerSearch {
public:
  OwnerSearch(const LinuxLayout &layout, const TaskList &tasks, const TypeTable &types);

  /// Gives the row its holders, and the table whom they name. False: some may be missing.
  [[nodiscard]] bool add_holders(SocketRow &row, Reach reach, SocketTable &table,
                                 KernelReader &reader);
  /// Remembers every process, and who held what.
  void learn(const SocketTable &whole);

private:
  class Hunt;
  class Youngest;
  using Hint = std::pair<GuestVirtual, GuestVirtual>; ///< file -> task that held it

  /// Of struct file, how many references there are.
  struct References {
    Member count;
    std::uint64_t of_one = 1; ///< its value while there is one: file_ref_t starts at 0
  };

  [[nodiscard]] std::optional<GuestVirtual> hint_for(GuestVirtual file) const;
  /// The process that was known at this address, as it is now; nullopt: it ended.
  [[nodiscard]] std::optional<Task> revisit(GuestVirtual address, KernelReader &reader);
  /// Whether it was not seen before; from now on it was.
  [[nodiscard]] bool is_new(const Task &task);
  /// The cheap part: true when every holder was found.
  [[nodiscard]] bool find_where_likely(GuestVirtual file, Hunt &hunt, KernelReader &reader);
  [[nodiscard]] bool find_anywhere(Hunt &hunt, KernelReader &reader);
  void note_owner(GuestVirtual task);

  const LinuxLayout &layout_;
  const TaskList &tasks_;
  std::optional<References> references_;
  std::optional<Member> users_;       ///< of files_struct: how many tasks have it
  std::optional<Member> first_slots_; ///< of files_struct: the slots of a small process
  Extent file_extent_, files_extent_;
  std::map<GuestVirtual, ProcessIdentity> known_; ///< by address
  std::vector<Hint> hints_;                       ///< of the last whole table, sorted
  OwnerHints new_hints_;                          ///< of all that was looked at since
  std::vector<GuestVirtual> lately_;              ///< owners, the last one first
};

} // namespace outguard::guest
