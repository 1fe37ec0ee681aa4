#pragma once
// Types for tests: sizes, members and enumerators as they were added. A dotted path of embedded
// structures is a member name of its own here.

#include <map>
#include <string>

#include "guest/symbols/type_table.h"

namespace outguard::guest {

class FakeTypeTable final : public TypeTable {
public:
  void add_type(const std::string &type, std::uint32_t size) { types_[type].size = size; }
  void add_member(const std::string &type, const std::string &path, Member member) {
    types_[type].members[path] = member;
  }
  void add_enumerator(const std::string &name, std::int64_t value) { enumerators_[name] = value; }
  /// As if this kernel did not have it.
  void remove_member(const std::string &type, const std::string &path) {
    types_[type].members.erase(path);
  }
  void remove_type(const std::string &type) { types_.erase(type); }

  [[nodiscard]] Result<Member> member(std::string_view type, std::string_view path) const override {
    const auto found = types_.find(type);
    if (found == types_.end()) {
      return fault(FaultCode::NotFound);
    }
    const auto member = found->second.members.find(path);
    if (member == found->second.members.end()) {
      return fault(FaultCode::NotFound);
    }
    return member->second;
  }
  [[nodiscard]] Result<std::uint32_t> size_of(std::string_view type) const override {
    const auto found = types_.find(type);
    if (found == types_.end()) {
      return fault(FaultCode::NotFound);
    }
    return found->second.size;
  }
  [[nodiscard]] std::optional<std::int64_t> enumerator(std::string_view name) const override {
    const auto found = enumerators_.find(name);
    return found == enumerators_.end() ? std::nullopt : std::optional(found->second);
  }

private:
  struct Type {
    std::uint32_t size = 0;
    std::map<std::string, Member, std::less<>> members;
  };
  std::map<std::string, Type, std::less<>> types_;
  std::map<std::string, std::int64_t, std::less<>> enumerators_;
};

} // namespace outguard::guest
