#pragma once
// While a sensor attaches: shows on a terminal how far it has come with a search of all memory.
// Owns a thread, which ends with the object and leaves the line empty. Takes the sensor's events
// meanwhile. Does nothing where standard error is no terminal.

#include <atomic>
#include <thread>

#include "launch/sensor_process.h"

namespace outguard::cli {

class ScanProgressLine {
public:
  explicit ScanProgressLine(launch::SensorProcess &sensor);
  ~ScanProgressLine();
  ScanProgressLine(const ScanProgressLine &) = delete;
  ScanProgressLine &operator=(const ScanProgressLine &) = delete;

private:
  void show(launch::SensorProcess &sensor);

  std::atomic<bool> ended_ = false;
  std::thread thread_;
};

} // namespace outguard::cli
