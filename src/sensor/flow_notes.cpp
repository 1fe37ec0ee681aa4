#include "sensor/flow_notes.h"

namespace outguard::sensor {

namespace {

std::size_t text_of(const Attribution &attribution) {
  std::size_t bytes = 0;
  for (const auto &process : attribution.processes) {
    bytes += sizeof process + (process.exe ? process.exe->raw().size() : 0);
    if (process.cmdline) {
      for (const auto &argument : *process.cmdline) {
        bytes += sizeof argument + argument.raw().size();
      }
    }
  }
  return bytes;
}

} // namespace

std::uint64_t FlowNotes::open() {
  if (!free_.empty()) {
    const auto number = free_.back();
    free_.pop_back();
    return number;
  }
  if (notes_.size() >= kMostNotes) {
    return 0;
  }
  notes_.emplace_back();
  return notes_.size();
}

void FlowNotes::keep(FlowNote &note, Attribution attribution) {
  text_bytes_ -= note.text_bytes;
  if (text_bytes_ + text_of(attribution) > kMostTextBytes) {
    for (auto &process : attribution.processes) {
      process.exe.reset();
      process.exe_deleted.reset();
      process.cmdline.reset();
    }
  }
  note.text_bytes = text_of(attribution);
  text_bytes_ += note.text_bytes;
  note.attribution = std::move(attribution);
}

FlowNote *FlowNotes::find(std::uint64_t number) {
  return number == 0 || number > notes_.size() ? nullptr : &notes_[number - 1];
}

void FlowNotes::close(std::uint64_t number) {
  if (FlowNote *note = find(number)) {
    text_bytes_ -= note->text_bytes;
    *note = {};
    free_.push_back(number);
  }
}

} // namespace outguard::sensor
