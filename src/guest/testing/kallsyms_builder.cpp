#include "guest/testing/kallsyms_builder.h"

#include <algorithm>
#include <array>

namespace outguard::guest {
namespace {

using Flaw = KallsymsBuilder::Flaw;
using Form = KallsymsForm;

/// 256 tokens: printable characters stand for themselves, some of the others for common pairs.
std::array<std::string, 256> make_tokens() {
  std::array<std::string, 256> tokens;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const bool printable = i > ' ' && i < 0x7f;
    tokens[i] = printable ? std::string(1, static_cast<char>(i)) : "x" + std::to_string(i);
  }
  tokens[0x80] = "filler_";
  tokens[0x81] = "linux_";
  tokens[0x82] = "tfiller_1"; // with the type letter in it, as real tables have
  return tokens;
}

/// Greedy, longest token first; always ends because every character is a token.
std::vector<std::uint8_t> compress(const std::string &name,
                                   const std::array<std::string, 256> &tokens) {
  std::vector<std::uint8_t> codes;
  for (std::size_t at = 0; at < name.size();) {
    std::size_t best = static_cast<unsigned char>(name[at]);
    for (const std::size_t code : {0x80U, 0x81U, 0x82U}) {
      if (name.compare(at, tokens[code].size(), tokens[code]) == 0 &&
          tokens[code].size() > tokens[best].size()) {
        best = code;
      }
    }
    codes.push_back(static_cast<std::uint8_t>(best));
    at += tokens[best].size();
  }
  return codes;
}

/// A symbol with its type letter in front of the name.
struct TypedSymbol {
  std::string name;
  std::uint64_t address = 0;
};

/// Writes the parts one behind the other, in whatever order they are called for.
class TableWriter {
public:
  TableWriter(std::vector<TypedSymbol> symbols, Form form, GuestVirtual start, Flaw flaw)
      : symbols_(std::move(symbols)), form_(form), start_(start), flaw_(flaw),
        tokens_(make_tokens()) {
    if (flaw_ == Flaw::DigitMissing) {
      tokens_['7'] = "seven";
    }
  }

  void offsets() {
    align(form_.alignment);
    const auto first = std::find_if(symbols_.begin(), symbols_.end(), [](const TypedSymbol &each) {
      return (each.address >> 63) != 0; // the lowest that is not per-CPU
    });
    const std::uint64_t base = first == symbols_.end() ? 0 : first->address;
    for (const TypedSymbol &symbol : symbols_) {
      std::uint64_t offset = symbol.address - base;
      if (form_.addresses == Form::Addresses::PerCpuAbsolute) {
        const bool per_cpu = (symbol.address >> 63) == 0;
        offset = per_cpu ? symbol.address : base - 1 - symbol.address;
      } else if (form_.addresses == Form::Addresses::SelfRelative) {
        offset = symbol.address - (start_.raw() + bytes_.size());
      }
      append(offset, 4);
    }
    if (form_.addresses != Form::Addresses::SelfRelative) {
      align(form_.alignment);
      append(flaw_ == Flaw::BaseWrong ? base + 0x1000 : base, 8);
    }
  }

  void names_and_markers() {
    align(form_.alignment);
    append(symbols_.size() + (flaw_ == Flaw::CountTooHigh ? 1 : 0), 4);
    align(form_.alignment);
    const std::size_t names = bytes_.size();
    std::vector<std::size_t> markers;
    for (std::size_t i = 0; i < symbols_.size(); ++i) {
      if (i % 256 == 0) {
        markers.push_back(bytes_.size() - names);
      }
      name(i);
    }
    if (flaw_ == Flaw::MarkerWrong) {
      ++markers[markers.size() / 2];
    }
    align(form_.alignment);
    for (const std::size_t marker : markers) {
      append(marker, 4);
    }
  }

  void sequence() {
    align(form_.alignment);
    for (std::size_t i = 0; i < symbols_.size(); ++i) { // big-endian, in the order of the names
      const std::size_t number = i * 7919 % symbols_.size();
      append(number >> 16 | (number >> 8 & 0xff) << 8 | (number & 0xff) << 16, 3);
    }
  }

  void token_table_and_index() {
    align(form_.alignment);
    const std::size_t table = bytes_.size();
    std::vector<std::size_t> index;
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      index.push_back(bytes_.size() - table);
      bytes_.insert(bytes_.end(), tokens_[i].begin(), tokens_[i].end());
      bytes_.push_back(flaw_ == Flaw::TokenUnterminated && i == 0x90 ? 'x' : 0);
    }
    align(form_.alignment);
    if (flaw_ == Flaw::TokenIndexFalls) {
      std::swap(index[100], index[101]);
    }
    for (const std::size_t entry : index) {
      append(entry, 2);
    }
  }

  [[nodiscard]] std::vector<std::uint8_t> take() {
    align(8);
    return std::move(bytes_);
  }

private:
  void append(std::uint64_t value, std::size_t width) {
    for (std::size_t i = 0; i < width; ++i) {
      bytes_.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
    }
  }
  void align(std::size_t alignment) {
    bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment);
  }

  void name(std::size_t number) {
    auto codes = compress(symbols_[number].name, tokens_);
    if (number == symbols_.size() / 2 && flaw_ == Flaw::NameEmpty) {
      codes.clear();
    }
    std::size_t length = codes.size();
    if (number + 1 == symbols_.size() && flaw_ == Flaw::NameTooLong) {
      length = 120;
    }
    if (length > 0x7f) { // two bytes since 6.1
      append(0x80 | (length & 0x7f), 1);
      append(length >> 7, 1);
    } else {
      append(length, 1);
    }
    bytes_.insert(bytes_.end(), codes.begin(), codes.end());
  }

  std::vector<TypedSymbol> symbols_;
  Form form_;
  GuestVirtual start_;
  Flaw flaw_;
  std::array<std::string, 256> tokens_;
  std::vector<std::uint8_t> bytes_;
};

} // namespace

const std::vector<KallsymsForm> &kallsyms_forms() {
  using Order = Form::Order;
  using Addresses = Form::Addresses;
  static const std::vector<KallsymsForm> forms{
      {Order::OffsetsFirst, Addresses::PerCpuAbsolute, false, 8, "5.10"},
      {Order::OffsetsFirst, Addresses::PerCpuAbsolute, true, 8, "6.2"},
      {Order::OffsetsFirst, Addresses::BaseRelative, false, 8, "without_smp"},
      {Order::NamesFirst, Addresses::PerCpuAbsolute, true, 8, "6.4"},
      {Order::NamesFirst, Addresses::BaseRelative, true, 8, "6.15"},
      {Order::NamesFirst, Addresses::SelfRelative, true, 4, "7.0"},
  };
  return forms;
}

void KallsymsBuilder::add_fillers(std::size_t count, std::uint64_t first_address) {
  for (std::size_t i = 0; i < count; ++i) {
    add('t', "filler_" + std::to_string(i), first_address + 16 * i);
  }
}

std::vector<std::uint8_t> KallsymsBuilder::build(Form form, GuestVirtual start, Flaw flaw) const {
  std::vector<TypedSymbol> symbols;
  for (const auto &[name, address] : symbols_) {
    symbols.push_back({name, address});
  }
  std::stable_sort(symbols.begin(), symbols.end(), [](const TypedSymbol &a, const TypedSymbol &b) {
    return a.address < b.address;
  });
  TableWriter writer(std::move(symbols), form, start, flaw);
  if (form.order == Form::Order::OffsetsFirst) {
    writer.offsets();
  }
  writer.names_and_markers();
  if (form.order == Form::Order::OffsetsFirst && form.sequence) {
    writer.sequence();
  }
  writer.token_table_and_index();
  if (form.order == Form::Order::NamesFirst) {
    writer.offsets();
    if (form.sequence) {
      writer.sequence();
    }
  }
  return writer.take();
}

} // namespace outguard::guest
