#pragma once
// Symbols for tests: what was added, and nothing else.

#include <map>
#include <string>

#include "guest/symbols/symbol_table.h"

namespace outguard::guest {

class FakeSymbolTable final : public SymbolTable {
public:
  void add(std::string name, GuestVirtual address) { symbols_[std::move(name)] = address; }
  void remove(std::string_view name) { symbols_.erase(symbols_.find(name)); }

  [[nodiscard]] std::optional<GuestVirtual> find(std::string_view name) const override {
    const auto found = symbols_.find(name);
    return found == symbols_.end() ? std::nullopt : std::optional(found->second);
  }

private:
  std::map<std::string, GuestVirtual, std::less<>> symbols_;
};

} // namespace outguard::guest
