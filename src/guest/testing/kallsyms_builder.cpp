#include "guest/testing/kallsyms_builder.h"

#include <algorithm>
#include <array>

namespace outguard::guest {
namespace {

using Flaw = KallsymsBuilder::Flaw;
using Form = KallsymsForm;

void append(std::vector<std::uint8_t> &bytes, std::uint64_t value, std::size_t width) {
  for (std::size_t i = 0; i < width; ++i) {
    bytes.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  }
}

void align(std::vector<std::uint8_t> &bytes, std::size_t alignment) {
  bytes.resize((bytes.size() + alignment - 1) / alignment * alignment);
}

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
  auto symbols = symbols_;
  std::stable_sort(symbols.begin(), symbols.end(),
                   [](const Symbol &a, const Symbol &b) { return a.address < b.address; });
  auto tokens = make_tokens();
  if (flaw == Flaw::DigitMissing) {
    tokens['7'] = "seven";
  }

  std::vector<std::uint8_t> names;
  std::vector<std::uint32_t> markers;
  for (std::size_t i = 0; i < symbols.size(); ++i) {
    if (i % 256 == 0) {
      markers.push_back(static_cast<std::uint32_t>(names.size()));
    }
    auto codes = compress(symbols[i].typed_name, tokens);
    const bool flawed = i == symbols.size() / 2;
    if (flawed && flaw == Flaw::NameEmpty) {
      codes.clear();
    }
    std::size_t length = codes.size();
    if (i + 1 == symbols.size() && flaw == Flaw::NameTooLong) {
      length = 120;
    }
    if (length > 0x7f) { // 6.1
      names.push_back(static_cast<std::uint8_t>(0x80 | (length & 0x7f)));
      names.push_back(static_cast<std::uint8_t>(length >> 7));
    } else {
      names.push_back(static_cast<std::uint8_t>(length));
    }
    names.insert(names.end(), codes.begin(), codes.end());
  }
  if (flaw == Flaw::MarkerWrong) {
    ++markers[markers.size() / 2];
  }

  std::uint64_t base = 0;
  for (const Symbol &symbol : symbols) { // the lowest that is not per-CPU
    if ((symbol.address >> 63) != 0) {
      base = symbol.address;
      break;
    }
  }

  std::vector<std::uint8_t> bytes;
  const auto part = [&] { align(bytes, form.alignment); };
  const auto put_offsets = [&] {
    part();
    for (const Symbol &symbol : symbols) {
      const bool kernel = (symbol.address >> 63) != 0;
      std::uint64_t offset = symbol.address - base;
      if (form.addresses == Form::Addresses::PerCpuAbsolute) {
        offset = kernel ? base - 1 - symbol.address : symbol.address;
      } else if (form.addresses == Form::Addresses::SelfRelative) {
        offset = symbol.address - (start.raw() + bytes.size());
      }
      append(bytes, offset, 4);
    }
    if (form.addresses != Form::Addresses::SelfRelative) {
      part();
      append(bytes, flaw == Flaw::BaseWrong ? base + 0x1000 : base, 8);
    }
  };
  const auto put_names = [&] {
    part();
    append(bytes, symbols.size() + (flaw == Flaw::CountTooHigh ? 1 : 0), 4);
    part();
    bytes.insert(bytes.end(), names.begin(), names.end());
    part();
    for (const std::uint32_t marker : markers) {
      append(bytes, marker, 4);
    }
  };
  const auto put_sequence = [&] {
    if (form.sequence) {
      part();
      for (std::size_t i = 0; i < symbols.size();
           ++i) { // big-endian numbers, in the order of names
        const std::size_t number = i * 7919 % symbols.size();
        append(bytes, number >> 16 | (number >> 8 & 0xff) << 8 | (number & 0xff) << 16, 3);
      }
    }
  };
  const auto put_tokens = [&] {
    part();
    std::vector<std::size_t> index;
    const std::size_t table = bytes.size();
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      index.push_back(bytes.size() - table);
      bytes.insert(bytes.end(), tokens[i].begin(), tokens[i].end());
      bytes.push_back(flaw == Flaw::TokenUnterminated && i == 0x90 ? 'x' : 0);
    }
    part();
    if (flaw == Flaw::TokenIndexFalls) {
      std::swap(index[100], index[101]);
    }
    for (const std::size_t entry : index) {
      append(bytes, entry, 2);
    }
  };

  if (form.order == Form::Order::OffsetsFirst) {
    put_offsets();
    put_names();
    put_sequence();
    put_tokens();
  } else {
    put_names();
    put_tokens();
    put_offsets();
    put_sequence();
  }
  align(bytes, 8);
  return bytes;
}

} // namespace outguard::guest
