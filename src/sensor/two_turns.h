#pragma once
// Many that wait, few of whom need long: each is first served the quick way, so that nobody waits
// for another's long one; then those that had no luck the thorough way. Both in the order given.

#include <span>
#include <vector>

namespace outguard::sensor {

/// `quick` tells whether it was enough.
template <class Item, class Quick, class Thorough>
void in_two_turns(std::span<const Item> items, Quick quick, Thorough thorough) {
  std::vector<const Item *> left;
  for (const Item &item : items) {
    if (!quick(item)) {
      left.push_back(&item);
    }
  }
  for (const Item *item : left) {
    thorough(*item);
  }
}

} // namespace outguard::sensor
