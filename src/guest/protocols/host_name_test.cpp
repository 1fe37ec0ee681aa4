#include <algorithm>
#include <cctype>

#include <gtest/gtest.h>

#include "guest/protocols/host_name.h"

namespace outguard::guest {
namespace {

struct Case {
  std::string in;
  std::string out;
  HostForm form;
};

TEST(HostName, HasOneNormalForm) {
  const Case cases[] = {
      {"Example.COM", "example.com", HostForm::Name},
      {"example.com.", "example.com", HostForm::Name},
      {"_dmarc.a-b.example", "_dmarc.a-b.example", HostForm::Name},
      {"192.0.2.1", "192.0.2.1", HostForm::Address},
      {"[2001:DB8::1]", "2001:db8::1", HostForm::Address},
      {"1.2.3", "1.2.3", HostForm::Name},
      {"a..b", "a..b", HostForm::Odd},
      {".a", ".a", HostForm::Odd},
      {std::string("a\0b", 3), "a\\000b", HostForm::Odd},
      {"b\xc3\xbc"
       "cher.example",
       "b\\195\\188cher.example", HostForm::Odd},
      {"a b", "a\\032b", HostForm::Odd},
      {std::string(63, 'a') + ".b", std::string(63, 'a') + ".b", HostForm::Name},
      {std::string(64, 'a') + ".b", std::string(64, 'a') + ".b", HostForm::Odd},
      {std::string(254, 'a'), std::string(254, 'a'), HostForm::Odd},
  };
  for (const Case &one : cases) {
    std::string out = "kept ";
    const auto form = append_host(one.in, out);
    ASSERT_TRUE(form) << one.in;
    EXPECT_EQ(out, "kept " + one.out);
    EXPECT_EQ(*form, one.form) << one.in;
  }
}

// Every length around the blocks that are looked at together, and every byte in every place.
TEST(HostName, EachByteCountsWhereverItStands) {
  const auto is_plain = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
  };
  for (std::size_t size = 1; size <= 140; ++size) {
    for (std::size_t place :
         {std::size_t{0}, size / 2, size - 1, std::min<std::size_t>(size, 64) - 1}) {
      for (unsigned byte = 0; byte < 256; ++byte) {
        std::string name(size, 'X');
        for (std::size_t dot = 40; dot + 1 < size; dot += 41) {
          name[dot] = '.';
        }
        name[place] = static_cast<char>(byte);
        std::string lower;
        for (const char c : name) {
          lower += to_lower(c);
        }
        std::string out;
        const auto dots = append_plain(name, out);
        ASSERT_EQ(dots.has_value(), is_plain(static_cast<unsigned char>(byte)))
            << size << ' ' << byte;
        ASSERT_EQ(out, dots ? lower : "");
        ASSERT_EQ(dots.value_or(0), dots ? std::ranges::count(name, '.') : 0);
        const bool empty_label = ("." + lower + ".").find("..") != std::string::npos;
        const bool long_label = byte != '.' && size > 64 && place == 40;
        const auto good = dots && !empty_label && !long_label ? HostForm::Name : HostForm::Odd;
        ASSERT_EQ(form_of(lower), good) << size << ' ' << place << ' ' << byte;
        if (lower != name) {
          ASSERT_EQ(form_of(name), HostForm::Odd) << "no capitals in what is normal";
        }
      }
    }
  }
}

TEST(HostName, NothingIsNoName) {
  std::string out;
  EXPECT_FALSE(append_host("", out));
  EXPECT_FALSE(append_host(".", out));
  EXPECT_TRUE(out.empty());
}

TEST(HostName, SplitsTheAuthority) {
  const auto same = [](std::string_view text, std::string_view host, std::optional<int> port) {
    const auto got = split_authority(text);
    EXPECT_EQ(got.host, host) << text;
    EXPECT_EQ(got.port.has_value(), port.has_value()) << text;
    if (got.port && port) {
      EXPECT_EQ(*got.port, *port) << text;
    }
  };
  same("a.example:8080", "a.example", 8080);
  same("a.example", "a.example", std::nullopt);
  same("a.example:", "a.example", std::nullopt);
  same("a.example:http", "a.example:http", std::nullopt);
  same("a.example:65536", "a.example:65536", std::nullopt);
  same("[2001:db8::1]:443", "[2001:db8::1]", 443);
  same("[2001:db8::1]", "[2001:db8::1]", std::nullopt);
  same("2001:db8::1", "2001:db8::1", std::nullopt);
  same("", "", std::nullopt);
}

} // namespace
} // namespace outguard::guest
