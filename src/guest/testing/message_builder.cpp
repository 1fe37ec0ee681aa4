#include "guest/testing/message_builder.h"

#include <algorithm>

namespace outguard::guest {

namespace {

constexpr std::uint32_t kFirstSecond = 1'700'000'000;

/// Numbers in one byte order, appended.
class Writer {
public:
  explicit Writer(ByteOrder order = ByteOrder::Big) : order_(order) {}

  Writer &u8(std::uint64_t value) { return number(value, 1); }
  Writer &u16(std::uint64_t value) { return number(value, 2); }
  Writer &u24(std::uint64_t value) { return number(value, 3); }
  Writer &u32(std::uint64_t value) { return number(value, 4); }
  Writer &add(const Bytes &bytes) {
    out_.insert(out_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  Writer &add(std::string_view text) { return add(bytes_of(text)); }
  Writer &fill(std::size_t count, std::uint8_t byte) {
    out_.resize(out_.size() + count, byte);
    return *this;
  }
  [[nodiscard]] Bytes take() { return std::move(out_); }
  [[nodiscard]] std::size_t size() const { return out_.size(); }

private:
  Writer &number(std::uint64_t value, int width) {
    for (int i = 0; i < width; ++i) {
      const int place = order_ == ByteOrder::Big ? width - 1 - i : i;
      out_.push_back(static_cast<std::uint8_t>(value >> (8 * place)));
    }
    return *this;
  }

  Bytes out_;
  ByteOrder order_;
};

Bytes dns_name(std::string_view name) {
  Writer out;
  while (!name.empty()) {
    const auto dot = std::min(name.find('.'), name.size());
    out.u8(dot).add(name.substr(0, dot));
    name.remove_prefix(std::min(dot + 1, name.size()));
  }
  return out.u8(0).take();
}

Bytes dns_message(std::uint16_t flags, std::uint16_t answers, std::string_view name,
                  std::uint16_t type) {
  return Writer()
      .u16(0x2a2a)
      .u16(flags)
      .u16(1)
      .u16(answers)
      .u32(0)
      .add(dns_name(name))
      .u16(type)
      .u16(1)
      .take();
}

Bytes extension(std::uint16_t type, const Bytes &body) {
  return Writer().u16(type).u16(body.size()).add(body).take();
}

Bytes records(const Bytes &message, std::size_t record_size) {
  Writer out;
  for (std::size_t at = 0; at < message.size(); at += record_size) {
    const auto length = std::min(record_size, message.size() - at);
    const auto first = message.begin() + static_cast<std::ptrdiff_t>(at);
    out.u8(22).u16(0x0301).u16(length).add(
        Bytes(first, first + static_cast<std::ptrdiff_t>(length)));
  }
  return out.take();
}

Bytes handshake(std::uint8_t type, const Bytes &body) {
  return Writer().u8(type).u24(body.size()).add(body).take();
}

} // namespace

Bytes dns_query(std::string_view name, std::uint16_t type) {
  return dns_message(0x0100, 0, name, type);
}

Bytes dns_answer(std::string_view name, std::string_view address) {
  const auto parsed = IpAddress::parse(address).value_or(IpAddress{});
  const auto octets = parsed.octets();
  const std::uint16_t type = parsed.family == IpFamily::V4 ? 1 : 28;
  return Writer()
      .add(dns_message(0x8180, 1, name, type))
      .u16(0xc00c)
      .u16(type)
      .u16(1)
      .u32(300)
      .u16(octets.size())
      .add(Bytes(octets.begin(), octets.end()))
      .take();
}

Bytes over_tcp(const Bytes &message) {
  return Writer().u16(message.size()).add(message).take();
}

Bytes client_hello(const ClientHello &hello) {
  Writer extensions;
  if (hello.padding > 0) {
    extensions.add(extension(21, Bytes(hello.padding, 0)));
  }
  extensions.add(extension(51, Bytes(hello.key_share, 0x5a)));
  if (!hello.server_name.empty()) {
    const auto entry = Writer().u8(0).u16(hello.server_name.size()).add(hello.server_name).take();
    extensions.add(extension(0, Writer().u16(entry.size()).add(entry).take()));
  }
  extensions.add(extension(16, Writer().u16(3).u8(2).add("h2").take()));
  const Bytes list = extensions.take();
  const Bytes body = Writer()
                         .u16(0x0303)
                         .fill(32, 0x11)
                         .u8(32)
                         .fill(32, 0x22)
                         .u16(4)
                         .u16(0x1301)
                         .u16(0xc02f)
                         .u8(1)
                         .u8(0)
                         .u16(list.size())
                         .add(list)
                         .take();
  return records(handshake(1, body), hello.record_size);
}

Bytes server_hello() {
  return records(handshake(2, Writer().u16(0x0303).fill(32, 0x33).u8(0).u16(0x1301).u8(0).take()),
                 16384);
}

Bytes http_request(std::string_view host, std::string_view target, std::string_view method,
                   std::string_view body) {
  std::string text = std::string(method) + ' ' + std::string(target) + " HTTP/1.1\r\n";
  text += host.empty() ? "" : "Host: " + std::string(host) + "\r\n";
  text += "User-Agent: test\r\n";
  text += body.empty() ? "" : "Content-Length: " + std::to_string(body.size()) + "\r\n";
  return bytes_of(text + "\r\n" + std::string(body));
}

Bytes pcap_file(const std::vector<Bytes> &packets, ByteOrder order, Resolution resolution,
                std::uint32_t link) {
  Writer out(order);
  out.u32(resolution == Resolution::Nano ? 0xa1b23c4d : 0xa1b2c3d4);
  out.u16(2).u16(4).u32(0).u32(0).u32(262144).u32(link);
  std::uint32_t second = kFirstSecond;
  for (const Bytes &packet : packets) {
    out.u32(second++).u32(250).u32(packet.size()).u32(packet.size()).add(packet);
  }
  return out.take();
}

Bytes pcapng_file(const std::vector<Bytes> &packets, ByteOrder order, Resolution resolution,
                  std::uint16_t link) {
  Writer out(order);
  out.u32(0x0a0d0d0a).u32(28).u32(0x1a2b3c4d).u16(1).u16(0).u32(0xffffffff).u32(0xffffffff).u32(28);
  out.u32(1).u32(32).u16(link).u16(0).u32(262144);
  out.u16(9).u16(1).u8(resolution == Resolution::Nano ? 9 : 6).fill(3, 0).u32(0).u32(32);
  const std::uint64_t ticks = resolution == Resolution::Nano ? 1'000'000'000 : 1'000'000;
  std::uint64_t second = kFirstSecond;
  for (const Bytes &packet : packets) {
    const std::uint64_t time = second++ * ticks + 250;
    const std::size_t padding = (4 - packet.size() % 4) % 4;
    const std::size_t length = 32 + packet.size() + padding;
    out.u32(6).u32(length).u32(0).u32(time >> 32).u32(time).u32(packet.size()).u32(packet.size());
    out.add(packet).fill(padding, 0).u32(length);
  }
  return out.take();
}

} // namespace outguard::guest
