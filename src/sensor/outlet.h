#pragma once
// Where reports that nobody asked for go.

#include "facts/messages.h"

namespace outguard::sensor {

class Outlet {
public:
  virtual ~Outlet() = default;
  virtual void publish(Report report) = 0;
};

} // namespace outguard::sensor
