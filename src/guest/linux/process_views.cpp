#include "guest/linux/process_views.h"

#include <set>

#include "guest/linux/task_scan.h"

namespace outguard::guest {
namespace {

void tell(ProcessSeen &row, const ViewsOfProcess &views) {
  row.views_asked = views.asked;
  row.views_seen = views.seen;
  row.hidden = views.hidden;
}

} // namespace

void ProcessViews::search_memory(ProcessesSeen &seen, CrossViews::Leads &leads,
                                 KernelReader &reader) const {
  if (!views_.layout() || !views_.pids() || seen.processes.empty()) {
    seen.completeness.lost(PartialReason::TableUnknown, {FaultCode::NotFound, 0});
    return;
  }
  const TaskScan scan(*views_.layout(), *views_.pids());
  KernelReader own(reader.space(), reader.budget()); // RAM full of false tasks costs the scan alone
  const auto found = scan.run(GuestVirtual(seen.processes.front().identity.task), own);
  if (!found) {
    seen.completeness.lost(found.error());
    return;
  }
  if (!found->whole) {
    seen.completeness.lost(PartialReason::BudgetExhausted, {FaultCode::LimitReached, found->bytes});
  }
  for (const GuestVirtual task : found->tasks) {
    leads.emplace_back(ProcessView::Scan, task);
  }
}

void ProcessViews::compare(ViewScope scope, ProcessesSeen &seen, KernelReader &reader) const {
  if (scope == ViewScope::None) {
    return;
  }
  CrossViews::Leads leads;
  if (scope == ViewScope::Memory) {
    search_memory(seen, leads, reader);
  }
  const ViewsCompared compared = views_.compare(leads, reader);
  std::set<GuestVirtual> told;
  for (ProcessSeen &row : seen.processes) {
    const GuestVirtual task(row.identity.task);
    const auto views = compared.processes.find(task);
    if (views != compared.processes.end() && views->second.identity == row.identity) {
      tell(row, views->second);
      told.insert(task);
    } // else it ended or was started between the two looks
  }
  for (const auto &[address, views] : compared.processes) {
    if (!views.hidden.value_or(false) || told.contains(address)) {
      continue;
    }
    const auto task = tasks_.read(address, reader);
    if (!task || task->identity() != views.identity) {
      continue;
    }
    ProcessSeen row = walker_.describe_or_remember(*task, reader);
    tell(row, views);
    seen.processes.push_back(std::move(row));
  }
  if (!compared.completeness.complete()) {
    seen.completeness.lost(compared.completeness.reason, compared.completeness.fault);
  }
}

} // namespace outguard::guest
