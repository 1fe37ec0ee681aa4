#include "guest/linux/descriptor_walker.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "guest/linux/descriptor_table.h"

namespace outguard::guest {
namespace {

constexpr std::uint64_t kMostDescriptors = std::uint64_t{1} << 20; ///< fs.nr_open's default
/// Of one socket in one process: more descriptors of it name no further owner.
constexpr std::uint32_t kMostRepeats = 64;
constexpr std::size_t kMostHolders = std::size_t{1} << 17; ///< in one walk: 6 MiB
constexpr int kMostLooks = 4; ///< after the first, at what is not as it was
/// For the looks after the first: a claim's slot, file, inode, socket and table; a process whose
/// table moved meanwhile.
constexpr std::uint64_t kReadsToProve = 5, kReadsToMove = 20'000;
constexpr std::uint64_t kBytesToProve = std::uint64_t{256} << 20;

} // namespace

/// One walk over all descriptor tables. The first look follows every slot; the second, of a later
/// generation of memory, follows it again. What is told led to the same socket both times: it did
/// so at the moment between the two.
class DescriptorWalker::Pass {
public:
  Pass(const DescriptorWalker &walker, std::span<const Task> leaders, KernelReader &reader)
      : walker_(walker), leaders_(leaders), reader_(&reader), tables_(walker.layout_.file),
        files_(walker.layout_, walker.operations_) {}

  /// How many slots the table has; 0 when it is not there, or cannot be read now.
  [[nodiscard]] std::uint64_t size_of(GuestVirtual files);
  /// The first look at the table of `user`, that leader's or one of its threads.
  void add(const Task &user, std::uint32_t leader, Completeness &completeness);
  /// The second look, and a further one at what was not the same.
  void prove(Completeness &completeness);
  /// A table whose user gave it up since the list was read may be another's, and may have been when
  /// it was looked at: what was found in it is nobody's.
  void drop_recycled(Completeness &completeness);
  [[nodiscard]] std::vector<Holder> finish();

private:
  /// A table that was looked at.
  struct Source {
    GuestVirtual files;
    GuestVirtual user;        ///< the task that had it,
    ProcessIdentity identity; ///< and who that was
    DescriptorTable table;
    std::uint32_t leader = 0;
    std::size_t first_claim = 0, end_of_claims = 0;
  };
  enum class Proof : std::uint8_t {
    SeenOnce,
    Unfollowed, ///< the chain behind the slot contradicted itself, or could not be read
    Proved,
    Gone, ///< the slot is empty, or no socket's, by now
  };
  struct Claim {
    Holder holder;
    std::uint32_t source = 0;
    Proof proof = Proof::SeenOnce;
    FaultCode trouble = FaultCode::Malformed; ///< of Unfollowed
  };
  /// A file seen in this look: inherited descriptors share it, so it is followed once.
  struct Known {
    GuestVirtual file;
    std::optional<Holder> socket;
    std::uint32_t leader = 0; ///< the last one that held it,
    std::uint32_t count = 0;  ///< and how often
  };

  void scan(std::uint32_t source, Completeness &completeness);
  void scan(const DescriptorTable::Stretch &stretch, std::uint32_t source,
            Completeness &completeness);
  /// The socket behind a file; nullopt when it is none. Unmapped or Malformed: it changed.
  [[nodiscard]] Result<Known *> resolve(GuestVirtual file);
  void keep(const Claim &claim, Completeness &completeness);

  [[nodiscard]] bool is_open(const Claim &claim) const {
    return claim.proof == Proof::SeenOnce || claim.proof == Proof::Unfollowed;
  }
  void look_again(Completeness &completeness);
  void look_again_at(Claim &claim);

  const DescriptorWalker &walker_;
  std::span<const Task> leaders_;
  KernelReader *reader_; ///< of this look
  DescriptorTableReader tables_;
  SocketFileReader files_;
  std::array<Known, 256> known_{}; ///< by address; a collision costs a read, nothing else
  std::map<GuestVirtual, std::uint32_t> shared_; ///< files_struct -> its first source
  std::vector<Source> sources_;
  std::vector<Claim> claims_;
};

Result<DescriptorWalker::Pass::Known *> DescriptorWalker::Pass::resolve(GuestVirtual file) {
  Known &known = known_[(file.raw() * 0x9e37'79b9'7f4a'7c15) >> 56];
  if (known.file == file) {
    return &known;
  }
  const auto socket = files_.read(file, *reader_);
  if (!socket) {
    return tl::unexpected(socket.error());
  }
  known = {file, *socket, 0, 0};
  return &known;
}

void DescriptorWalker::Pass::keep(const Claim &claim, Completeness &completeness) {
  if (claims_.size() < kMostHolders) {
    claims_.push_back(claim);
  } else {
    completeness.lost({FaultCode::LimitReached, claim.holder.slot.raw()});
  }
}

std::uint64_t DescriptorWalker::Pass::size_of(GuestVirtual files) {
  if (files.is_null()) {
    return 0;
  }
  const auto table = tables_.locate(files, *reader_);
  return table ? table->size : 0;
}

void DescriptorWalker::Pass::scan(const DescriptorTable::Stretch &stretch, std::uint32_t source,
                                  Completeness &completeness) {
  std::array<std::uint64_t, DescriptorTable::kStretchSlots> words;
  const auto slots = std::span(words).first(stretch.count);
  if (const auto read = reader_->words(stretch.start, slots); !read) {
    completeness.lost(read.error());
    return;
  }
  const std::uint32_t leader = sources_[source].leader;
  for (std::size_t index = 0; index < slots.size(); ++index) {
    if (slots[index] == 0) {
      continue;
    }
    const GuestVirtual slot = stretch.start.plus_wrapping(index * sizeof slots[index]);
    const GuestVirtual file(slots[index]);
    const auto resolved = resolve(file);
    Claim claim{{}, source, Proof::SeenOnce, FaultCode::Malformed};
    if (!resolved) {
      claim.proof = Proof::Unfollowed;
      claim.trouble = resolved.error().code;
    } else if (Known &known = **resolved; known.socket) {
      known.count = known.leader == leader ? known.count + 1 : 1;
      known.leader = leader;
      if (known.count > kMostRepeats) {
        completeness.lost(PartialReason::RepeatsLeftOut, {FaultCode::LimitReached, slot.raw()});
        continue;
      }
      claim.holder = *known.socket;
    } else {
      continue;
    }
    claim.holder.leader = leader;
    claim.holder.fd = stretch.first_fd + static_cast<std::int32_t>(index);
    claim.holder.slot = slot;
    keep(claim, completeness);
  }
}

void DescriptorWalker::Pass::scan(std::uint32_t source, Completeness &completeness) {
  DescriptorTable table = sources_[source].table;
  if (table.size > kMostDescriptors) {
    completeness.lost({FaultCode::LimitReached, table.slots.raw()});
    table.size = kMostDescriptors;
  }
  for (const auto &stretch : table.open_stretches(*reader_)) {
    scan(stretch, source, completeness);
  }
}

void DescriptorWalker::Pass::add(const Task &user, std::uint32_t leader,
                                 Completeness &completeness) {
  const GuestVirtual files = user.files;
  if (files.is_null()) {
    return; // a kernel thread without, or exiting
  }
  const auto index = static_cast<std::uint32_t>(sources_.size());
  if (const auto [known, is_new] = shared_.try_emplace(files, index); !is_new) {
    const Source other = sources_[known->second];
    if (other.leader == leader) {
      return; // another thread of the same process
    }
    sources_.push_back({files, user.address, user.identity(), other.table, leader, 0, 0});
    for (std::size_t at = other.first_claim; at < other.end_of_claims; ++at) {
      Claim claim = claims_[at];
      claim.holder.leader = leader;
      claim.source = index;
      keep(claim, completeness);
    }
    return;
  }
  const auto table = tables_.locate(files, *reader_);
  if (!table) {
    completeness.lost(table.error());
    shared_.erase(files);
    return;
  }
  sources_.push_back({files, user.address, user.identity(), *table, leader, claims_.size(), 0});
  scan(index, completeness);
  sources_[index].end_of_claims = claims_.size();
}

void DescriptorWalker::Pass::look_again_at(Claim &claim) {
  const auto file = reader_->pointer(claim.holder.slot);
  if (file && file->is_null()) {
    claim.proof = Proof::Gone;
    return;
  }
  const auto resolved = file ? resolve(*file) : tl::unexpected(file.error());
  if (!resolved) {
    claim.proof = Proof::Unfollowed;
    claim.trouble = resolved.error().code;
    return;
  }
  const auto &socket = (*resolved)->socket;
  if (!socket) {
    claim.proof = Proof::Gone;
    return;
  }
  Holder &was = claim.holder;
  if (claim.proof == Proof::SeenOnce && was.file == socket->file && was.socket == socket->socket &&
      was.sock == socket->sock && was.inode == socket->inode) {
    claim.proof = Proof::Proved;
    return;
  }
  claim.proof = Proof::SeenOnce; // and is now another's
  was = Holder{was.leader,     was.fd,       was.slot,     socket->file,
               socket->socket, socket->sock, socket->inode};
}

void DescriptorWalker::Pass::look_again(Completeness &completeness) {
  known_.fill({});
  const std::size_t before = claims_.size();
  enum class Place : std::uint8_t { NotAsked, Same, Moved };
  std::vector<Place> places(sources_.size(), Place::NotAsked);
  for (std::size_t index = 0; index < before; ++index) {
    if (!is_open(claims_[index])) {
      continue;
    }
    const std::uint32_t number = claims_[index].source;
    if (places[number] == Place::NotAsked) {
      Source &source = sources_[number];
      const auto now = tables_.locate(source.files, *reader_);
      places[number] = now && *now != source.table ? Place::Moved : Place::Same;
      if (places[number] == Place::Moved) { // a first look at where it is now
        source.table = *now;
        scan(number, completeness);
      }
    }
    if (places[number] == Place::Moved) {
      claims_[index].proof = Proof::Gone;
    } else {
      look_again_at(claims_[index]); // where the table cannot be located, its slots decide
    }
  }
}

void DescriptorWalker::Pass::prove(Completeness &completeness) {
  for (int look = 0; look < kMostLooks; ++look) {
    const auto open = std::ranges::count_if(claims_, [this](const Claim &c) { return is_open(c); });
    if (open == 0) {
      return;
    }
    // What was found is read again, however little the walk has left: its size is bounded by now.
    KernelReader reader(
        reader_->space(),
        WalkBudget(kReadsToMove + kReadsToProve * static_cast<std::uint64_t>(open), kBytesToProve));
    KernelReader *const before = std::exchange(reader_, &reader);
    look_again(completeness);
    reader_ = before;
  }
  std::optional<std::uint32_t> last;
  bool is_loss = false;
  for (const Claim &claim : claims_) {
    if (is_open(claim)) {
      if (last != claim.holder.leader) {
        last = claim.holder.leader;
        is_loss = walker_.still_runs(leaders_[*last], *reader_);
      }
      if (is_loss && claim.trouble == FaultCode::Malformed) {
        completeness.lost(PartialReason::KeptChanging, {claim.trouble, claim.holder.slot.raw()});
      } else if (is_loss) {
        completeness.lost({claim.trouble, claim.holder.slot.raw()});
      }
    }
  }
}

void DescriptorWalker::Pass::drop_recycled(Completeness &completeness) {
  enum class User : std::uint8_t { NotAsked, Same, Gone };
  std::vector<User> users(sources_.size(), User::NotAsked);
  KernelReader reader(reader_->space(), WalkBudget(sources_.size(), kBytesToProve));
  for (Claim &claim : claims_) {
    if (claim.proof != Proof::Proved) {
      continue;
    }
    User &user = users[claim.source];
    if (user == User::NotAsked) {
      const Source &source = sources_[claim.source];
      const auto now = walker_.tasks_.read(source.user, reader);
      const bool is_same = now && now->identity() == source.identity;
      user = is_same && now->files == source.files ? User::Same : User::Gone;
      if (is_same && user == User::Gone && !now->files.is_null()) { // it lives, with another table
        completeness.lost(PartialReason::KeptChanging, {FaultCode::Malformed, source.files.raw()});
      }
    }
    if (user == User::Gone) {
      claim.proof = Proof::Gone;
    }
  }
}

std::vector<Holder> DescriptorWalker::Pass::finish() {
  std::vector<Holder> found;
  found.reserve(claims_.size());
  for (const Claim &claim : claims_) {
    if (claim.proof == Proof::Proved) {
      found.push_back(claim.holder);
    }
  }
  return found;
}

Result<std::optional<Holder>> DescriptorWalker::follow(GuestVirtual file,
                                                       KernelReader &reader) const {
  return SocketFileReader(layout_, operations_).read(file, reader);
}

bool DescriptorWalker::still_runs(const Task &leader, KernelReader &reader) const {
  reader.renew();
  const auto now = tasks_.read(leader.address, reader);
  return !now || (now->identity() == leader.identity() && now->files == leader.files &&
                  tasks_.is_linked(*now, reader));
}

void DescriptorWalker::add_process(Pass &pass, const Task &leader, std::uint32_t index,
                                   KernelReader &reader, Completeness &completeness) const {
  Completeness here;
  pass.add(leader, index, here);
  if (!leader.is_alone() && !leader.is_kernel_thread()) {
    for (const Task &thread : tasks_.threads(leader, reader, here)) {
      if (thread.files != leader.files) {
        pass.add(thread, index, here);
      }
    }
  }
  // What failed because the process ended, or gave up its table, is no loss.
  if (!here.complete() && still_runs(leader, reader)) {
    completeness.lost(here.reason, here.fault);
  }
}

std::vector<Holder> DescriptorWalker::walk(std::span<const Task> leaders, KernelReader &reader,
                                           Completeness &completeness) const {
  Pass pass(*this, leaders, reader);
  // The smallest table first: a process with a huge one can then use up what is left of the budget,
  // and no other process's share.
  std::vector<std::pair<std::uint64_t, std::uint32_t>> by_size;
  by_size.reserve(leaders.size());
  for (std::uint32_t index = 0; index < leaders.size(); ++index) {
    by_size.emplace_back(pass.size_of(leaders[index].files), index);
  }
  std::ranges::sort(by_size);
  for (const auto &[size, index] : by_size) {
    add_process(pass, leaders[index], index, reader, completeness);
  }
  pass.prove(completeness);
  pass.drop_recycled(completeness);
  return pass.finish();
}

} // namespace outguard::guest
