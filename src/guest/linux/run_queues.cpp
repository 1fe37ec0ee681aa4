#include "guest/linux/run_queues.h"

namespace outguard::guest {
namespace {

constexpr std::uint64_t kMostCpus = 8192; ///< CONFIG_NR_CPUS of the largest distribution kernels
constexpr std::uint64_t kWordBytes = 8;

} // namespace

std::optional<RunQueues> RunQueues::bind(const TypeTable &types, const SymbolTable &symbols,
                                         std::string &missing) {
  RunQueues queues;
  for (const auto &[name, address] :
       {std::pair("runqueues", &queues.first_), std::pair("__per_cpu_offset", &queues.offsets_),
        std::pair("nr_cpu_ids", &queues.cpus_)}) {
    const auto found = symbols.find(name);
    if (!found) {
      missing = name;
      return std::nullopt;
    }
    *address = *found;
  }
  StructBinder queue(types, "rq", missing);
  queues.running_ = queue.pointer("curr");
  queues.fair_ = queue.optional_place("cfs_tasks", kListLinkBytes); // kernels for several CPUs
  queues.real_time_ = queue.optional_place("rt.active.queue");
  if (queues.real_time_ && queues.real_time_->size % kListLinkBytes != 0) {
    queues.real_time_.reset();
  }
  return missing.empty() ? std::optional(queues) : std::nullopt;
}

void RunQueues::read_one(GuestVirtual queue, KernelReader &reader, Seen &seen,
                         Completeness &completeness) const {
  const auto running = reader.pointer(queue.plus_wrapping(running_.offset));
  if (!running) {
    completeness.lost(running.error());
    return;
  }
  seen.running.push_back(*running);
  const auto add_heads = [&](const std::optional<Member> &heads, TaskNode node) {
    if (!heads) {
      return;
    }
    ObjectCopy copy(Extent{heads->offset, heads->offset + heads->size});
    if (const auto loaded = copy.load(reader, queue); !loaded) {
      completeness.lost(loaded.error());
      return;
    }
    for (std::uint32_t offset = 0; offset < heads->size; offset += kListLinkBytes) {
      const Member head{heads->offset + offset, kListLinkBytes, 0, 0};
      const GuestVirtual address = queue.plus_wrapping(head.offset);
      const GuestVirtual first = links_of(copy, head).next;
      if (first != address) {
        seen.queues.push_back({address, first, node});
      }
    }
  };
  add_heads(fair_, TaskNode::Fair);
  add_heads(real_time_, TaskNode::RealTime);
}

RunQueues::Seen RunQueues::read(KernelReader &reader, Completeness &completeness) const {
  Seen seen;
  const auto word = reader.pointer(cpus_);
  const std::uint64_t cpus = word ? word->raw() & 0xffff'ffff : 0; // an unsigned int
  if (cpus == 0 || cpus > kMostCpus) {
    completeness.lost(word ? Fault{FaultCode::Malformed, cpus_.raw()} : word.error());
    return seen;
  }
  for (std::uint64_t cpu = 0; cpu < cpus; ++cpu) {
    const auto offset = reader.pointer(offsets_.plus_wrapping(cpu * kWordBytes));
    if (!offset) {
      completeness.lost(offset.error());
      break;
    }
    read_one(first_.plus_wrapping(offset->raw()), reader, seen, completeness);
  }
  return seen;
}

} // namespace outguard::guest
