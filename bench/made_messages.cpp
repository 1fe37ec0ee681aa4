#include "made_messages.h"

#include <algorithm>
#include <array>
#include <string>

namespace outguard::bench {

namespace {

/// Big-endian numbers and what is put around others, appended.
class Writer {
public:
  Writer &number(std::uint64_t value, std::size_t width) {
    for (std::size_t i = width; i > 0; --i) {
      out_.push_back(static_cast<std::uint8_t>(value >> (8 * (i - 1))));
    }
    return *this;
  }
  Writer &u8(std::uint64_t value) { return number(value, 1); }
  Writer &u16(std::uint64_t value) { return number(value, 2); }
  Writer &add(const Bytes &bytes) {
    out_.insert(out_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  Writer &add(std::string_view text) {
    out_.insert(out_.end(), text.begin(), text.end());
    return *this;
  }
  /// Bytes that look random and follow from `seed`.
  Writer &noise(std::size_t count, std::uint64_t seed) {
    for (std::size_t i = 0; i < count; ++i) {
      seed = seed * 6364136223846793005 + 1442695040888963407;
      out_.push_back(static_cast<std::uint8_t>(seed >> 56));
    }
    return *this;
  }
  /// `body` behind its length in `width` bytes.
  Writer &sized(std::size_t width, const Bytes &body) {
    return number(body.size(), width).add(body);
  }
  [[nodiscard]] Bytes take() { return std::move(out_); }
  [[nodiscard]] std::size_t size() const { return out_.size(); }

private:
  Bytes out_;
};

Bytes numbers(std::initializer_list<std::uint16_t> values) {
  Writer out;
  for (const auto value : values) {
    out.u16(value);
  }
  return out.take();
}

Bytes record(std::uint8_t type, const Bytes &body) {
  return Writer().u8(type).u16(0x0303).sized(2, body).take();
}
Bytes handshake(std::uint8_t type, const Bytes &body) {
  return Writer().u8(type).sized(3, body).take();
}

// ---- TLS -------------------------------------------------------------------------------

Bytes ciphers_of(std::uint32_t program) {
  switch (program) {
  case 0:
    return numbers({0x3a3a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8,
                    0xc013, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035});
  case 1:
    return numbers({0x1301, 0x1303, 0x1302, 0xc02b, 0xc02f, 0xcca9, 0xcca8, 0xc02c, 0xc030, 0xc00a,
                    0xc009, 0xc013, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035});
  case 2:
    return numbers({0x1302, 0x1303, 0x1301, 0xc02c, 0xc030, 0x009f, 0xcca9, 0xcca8,
                    0xccaa, 0xc02b, 0xc02f, 0x009e, 0xc024, 0xc028, 0x006b, 0xc023,
                    0xc027, 0x0067, 0xc00a, 0xc014, 0x0039, 0xc009, 0xc013, 0x0033,
                    0x009d, 0x009c, 0x003d, 0x003c, 0x0035, 0x002f, 0x00ff});
  default:
    return numbers(
        {0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc009, 0xc013, 0x1301, 0x1302, 0x1303});
  }
}

Bytes extension(std::uint16_t type, const Bytes &body) {
  return Writer().u16(type).sized(2, body).take();
}
Bytes joined(const std::vector<Bytes> &parts) {
  Writer out;
  for (const auto &part : parts) {
    out.add(part);
  }
  return out.take();
}

Bytes in_order_of(std::uint32_t number, std::vector<Bytes> parts) {
  for (std::size_t i = parts.size(); i > 1; --i) {
    number = number * 1664525 + 1013904223;
    std::swap(parts[i - 1], parts[(number >> 8) % i]);
  }
  Writer out;
  for (const auto &part : parts) {
    out.add(part);
  }
  return out.take();
}

Bytes extensions_of(std::string_view name, std::uint32_t program, std::uint32_t number,
                    std::uint64_t seed) {
  std::vector<Bytes> out;
  const bool browser = program < 2;
  const auto host = Writer().u8(0).u16(name.size()).add(name).take();
  out.push_back(extension(0, Writer().sized(2, host).take()));
  out.push_back(extension(23, {}));
  out.push_back(extension(0xff01, {0}));
  const auto groups = browser ? numbers({0x11ec, 0x001d, 0x0017, 0x0018})
                              : numbers({0x001d, 0x0017, 0x001e, 0x0019, 0x0018});
  out.push_back(extension(10, Writer().sized(2, groups).take()));
  out.push_back(extension(11, {1, 0}));
  out.push_back(extension(35, {}));
  const auto protocols = Writer().u8(2).add("h2").u8(8).add("http/1.1").take();
  out.push_back(extension(16, Writer().sized(2, protocols).take()));
  out.push_back(extension(5, {1, 0, 0, 0, 0}));
  const auto algorithms =
      numbers({0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601, 0x0201});
  out.push_back(extension(13, Writer().sized(2, algorithms).take()));
  Writer shares;
  if (browser) {
    shares.u16(0x11ec).u16(1216).noise(1216, seed);
  }
  shares.u16(0x001d).u16(32).noise(32, seed + 1);
  out.push_back(extension(51, Writer().sized(2, shares.take()).take()));
  out.push_back(extension(45, {1, 1}));
  out.push_back(extension(43, {4, 3, 4, 3, 3}));
  if (browser) {
    out.push_back(extension(27, {2, 0, 2}));
    const auto hidden = Writer().u8(0).u16(1).u16(1).u8(9).u16(32).noise(32, seed + 2).u16(144);
    out.push_back(extension(0xfe0d, Writer(hidden).noise(144, seed + 3).take()));
  }
  if (program != 0) {
    return joined(out);
  }
  return joined({extension(0x4a4a, {}), in_order_of(number, std::move(out))});
}

// ---- Certificates: DER (X.690) -------------------------------------------------------------

Bytes der(std::uint8_t tag, const Bytes &body) {
  Writer out;
  out.u8(tag);
  if (body.size() < 128) {
    out.u8(body.size());
  } else {
    out.u8(0x82).u16(body.size());
  }
  return out.add(body).take();
}
Bytes sequence(std::initializer_list<Bytes> parts) {
  return der(0x30, joined(parts));
}
Bytes text_bytes(std::string_view text) {
  return {text.begin(), text.end()};
}
/// One relative name, of the X.520 attribute.
Bytes name_part(std::uint8_t attribute, std::string_view value) {
  return der(0x31, sequence({der(6, {0x55, 4, attribute}), der(0x0c, text_bytes(value))}));
}

Bytes certificate(std::string_view name, std::uint64_t seed) {
  const auto signed_with = sequence({der(6, {0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2})});
  const auto issuer = sequence({name_part(6, "US"), name_part(10, "Some Trust Services LLC"),
                                name_part(3, "Issuing CA " + std::to_string(seed % 9))});
  const auto valid =
      sequence({der(0x17, text_bytes("250101000000Z")), der(0x17, text_bytes("270101000000Z"))});
  const auto key = sequence({sequence({der(6, {0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1}),
                                       der(6, {0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7})}),
                             der(3, Writer().u16(4).noise(64, seed).take())});
  const auto names = sequence(
      {der(0x82, text_bytes(name)), der(0x82, text_bytes(std::string("www.").append(name)))});
  const auto list = sequence(
      {sequence({der(6, {0x55, 0x1d, 0x11}), der(4, names)}),
       sequence({der(6, {0x55, 0x1d, 0x0e}), der(4, der(4, Writer().noise(20, seed).take()))}),
       sequence({der(6, {0x2b, 6, 1, 4, 1, 0xd6, 0x79, 2, 4, 2}),
                 der(4, Writer().noise(242, seed + 5).take())})});
  const auto body =
      sequence({der(0xa0, {2, 1, 2}), der(2, Writer().u8(1).noise(15, seed + 7).take()),
                signed_with, issuer, valid, sequence({name_part(3, name)}), key, der(0xa3, list)});
  return sequence({body, signed_with, der(3, Writer().u8(0).noise(71, seed + 9).take())});
}

// ---- DNS -------------------------------------------------------------------------------

Bytes labels(std::string_view name) {
  Writer out;
  while (!name.empty()) {
    const auto dot = std::min(name.find('.'), name.size());
    out.u8(dot).add(name.substr(0, dot));
    name.remove_prefix(std::min(dot + 1, name.size()));
  }
  return out.u8(0).take();
}

Writer dns_head(std::string_view name, std::uint16_t id, std::uint16_t flags, std::size_t answers,
                std::uint16_t type) {
  Writer out;
  out.u16(id).u16(flags).u16(1).u16(answers).u16(0).u16(0).add(labels(name)).u16(type).u16(1);
  return out;
}

} // namespace

Bytes tls_client_hello(std::string_view server_name, std::uint32_t program, std::uint32_t number) {
  const std::uint64_t seed = server_name.size() * 7919 + program;
  Writer body;
  body.u16(0x0303).noise(32, seed).u8(32).noise(32, seed + 1).sized(2, ciphers_of(program));
  auto extensions = extensions_of(server_name, program, number, seed);
  const auto so_far = body.size() + 2 + 2 + extensions.size() + 4;
  if (program == 2 && so_far + 4 < 512) { // as OpenSSL pads
    extensions = joined({extensions, extension(21, Bytes(512 - so_far - 4, 0))});
  }
  body.u8(1).u8(0).sized(2, extensions);
  return record(22, handshake(1, body.take()));
}

Bytes tls13_server_flight(std::uint32_t number) {
  const auto extensions =
      joined({extension(51, Writer().u16(0x001d).u16(32).noise(32, number).take()),
              extension(43, {3, 4})});
  const auto hello = Writer()
                         .u16(0x0303)
                         .noise(32, number)
                         .u8(32)
                         .noise(32, number + 1)
                         .u16(0x1301)
                         .u8(0)
                         .sized(2, extensions)
                         .take();
  const auto rest = Writer().noise(2200 + number % 1800, number).take();
  return joined({record(22, handshake(2, hello)), record(20, {1}), record(23, rest)});
}

Bytes tls12_server_flight(std::string_view server_name, std::uint32_t number) {
  const auto hello = Writer().u16(0x0303).noise(32, number).u8(0).u16(0xc02f).u8(0).u16(0).take();
  const auto chain = joined({Writer().sized(3, certificate(server_name, number)).take(),
                             Writer().sized(3, certificate("issuing.example", number % 9)).take()});
  const auto exchange =
      Writer().u8(3).u16(23).u8(65).noise(65, number).u16(0x0403).u16(71).noise(71, number).take();
  return joined({record(22, handshake(2, hello)),
                 record(22, handshake(11, Writer().sized(3, chain).take())),
                 record(22, handshake(12, exchange)), record(22, handshake(14, {}))});
}

Bytes tls_data_header(std::size_t length) {
  return Writer().u8(23).u16(0x0303).u16(length).take();
}

Bytes dns_question(std::string_view name, std::uint16_t id, std::uint16_t type) {
  return dns_head(name, id, 0x0100, 0, type).take();
}

Bytes dns_reply(std::string_view name, std::uint16_t id, std::uint16_t type, std::uint32_t aliases,
                const std::vector<IpAddress> &addresses) {
  Writer out = dns_head(name, id, 0x8180, aliases + addresses.size(), type);
  std::size_t owner = 12; // of the question
  for (std::uint32_t i = 0; i < aliases; ++i) {
    const auto alias =
        labels("edge-" + std::to_string(i) + ".lb" + std::to_string(name.size()) + ".some-cdn.net");
    out.u16(0xc000 | owner).u16(5).u16(1).number(300, 4).sized(2, alias);
    owner = out.size() - alias.size();
  }
  for (const auto &address : addresses) {
    const auto octets = address.octets();
    out.u16(0xc000 | owner).u16(type).u16(1).number(60, 4);
    out.sized(2, Bytes(octets.begin(), octets.end()));
  }
  return out.take();
}

Bytes http_get(std::string_view host, std::string_view path, std::uint32_t browser) {
  constexpr auto kBrowsers = std::to_array<std::string_view>(
      {"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
       "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
       "Chrome/126.0.0.0 Safari/537.36",
       "curl/7.88.1", "Debian APT-HTTP/1.3 (2.6.1)"});
  std::string text = "GET ";
  text.append(path).append(" HTTP/1.1\r\nHost: ").append(host).append("\r\nUser-Agent: ");
  text.append(kBrowsers[browser % kBrowsers.size()]).append("\r\nAccept: */*\r\n");
  if (browser % kBrowsers.size() < 2) {
    text.append("Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate\r\n"
                "Connection: keep-alive\r\nReferer: http://")
        .append(host)
        .append("/\r\nCookie: session=0123456789abcdef0123456789abcdef; seen=1\r\n");
  }
  return text_bytes(text.append("\r\n"));
}

Bytes http_answer_head(std::size_t body) {
  return text_bytes("HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: application/octet-stream\r\n"
                    "Content-Length: " +
                    std::to_string(body) + "\r\nConnection: keep-alive\r\n\r\n");
}

} // namespace outguard::bench
