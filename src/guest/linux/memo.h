#pragma once
// What many processes share (credentials, namespaces, a cgroup), read once a walk by its address.
// One thread; lives as long as its walk: a freed object's address is soon another's.

#include <map>

#include "guest/bytes/address.h"

namespace outguard::guest {

template <class Value> class Memo {
public:
  /// `make` is called for an address not asked for before.
  template <class Make> const Value &get(GuestVirtual address, const Make &make) {
    const auto known = values_.find(address);
    return known != values_.end() ? known->second
                                  : values_.emplace(address, make(address)).first->second;
  }
  void forget() { values_.clear(); }

private:
  std::map<GuestVirtual, Value> values_; ///< ordered: keys are the guest's
};

} // namespace outguard::guest
