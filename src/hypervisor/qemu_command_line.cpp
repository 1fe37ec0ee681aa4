#include "hypervisor/qemu_command_line.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>

namespace outguard::hypervisor {

namespace {

/// QEMU's "a,key=value,flag" with ",," for a comma (util/keyval.c). A first item without '=' is
/// kept under the implied key.
class OptionList {
public:
  OptionList(std::string_view text, std::string_view implied_key) {
    std::string item;
    bool first = true;
    const auto finish = [&] {
      const auto equals = item.find('=');
      if (equals != std::string::npos) {
        values_[item.substr(0, equals)] = item.substr(equals + 1);
      } else {
        values_[first ? std::string(implied_key) : item] = first ? item : "on";
      }
      item.clear();
      first = false;
    };
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != ',') {
        item += text[i];
      } else if (i + 1 < text.size() && text[i + 1] == ',') {
        item += ',';
        ++i;
      } else {
        finish();
      }
    }
    finish();
  }

  [[nodiscard]] std::string operator[](const std::string &key) const {
    const auto found = values_.find(key);
    return found == values_.end() ? std::string() : found->second;
  }

private:
  std::map<std::string, std::string> values_;
};

/// Back ends of -netdev that carry packets past every tap.
constexpr std::array<std::string_view, 8> kWithoutTap{"user",  "passt",  "socket", "stream",
                                                      "dgram", "l2tpv3", "vde",    "vhost-user"};

/// Lower-case UUID, or empty: anything else must not become a VM's key.
std::string canonical_uuid(std::string text) {
  constexpr std::size_t kLength = 36;
  if (text.size() != kLength) {
    return {};
  }
  for (std::size_t i = 0; i < kLength; ++i) {
    char &c = text[i];
    if (c >= 'A' && c <= 'F') {
      c = static_cast<char>(c - 'A' + 'a');
    }
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    if (dash ? c != '-' : !hex) {
      return {};
    }
  }
  return text;
}

/// "512", "512M", "5G". `unit`: of a number without a suffix; -m reads it as MiB, others as bytes.
std::optional<std::uint64_t> memory_size(std::string_view text, char unit) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view suffix = text.substr(static_cast<std::size_t>(end - text.data()));
  if (error != std::errc{} || suffix.size() > 1) {
    return std::nullopt;
  }
  constexpr std::string_view kSuffixes = "BKMGT";
  const char letter = suffix.empty() ? unit : static_cast<char>(suffix[0] & ~0x20);
  const auto power = kSuffixes.find(letter);
  if (power == std::string_view::npos || number > (1ULL << 52) >> (10 * power)) {
    return std::nullopt;
  }
  return number << (10 * power);
}

class Parser {
public:
  QemuCommandLine run(std::span<const std::string> arguments) {
    for (std::size_t i = 1; i < arguments.size(); ++i) {
      std::string_view option = arguments[i];
      if (option.size() < 2 || option[0] != '-') {
        continue;
      }
      option.remove_prefix(option.starts_with("--") ? 2 : 1);
      // Only these take free text that may itself begin with a dash.
      const bool free_text = option == "append" || option == "name" || option == "fw_cfg" ||
                             option == "smbios" || option == "prom-env";
      const bool has_value =
          i + 1 < arguments.size() && (free_text || !arguments[i + 1].starts_with('-'));
      take(option, has_value ? arguments[++i] : std::string());
    }
    join_monitors();
    return std::move(line_);
  }

private:
  struct Chardev {
    std::string path;
    std::string problem; ///< why its path is of no use
  };

  void take(std::string_view option, const std::string &value) {
    if (option == "name") {
      line_.name = OptionList(value, "guest")["guest"];
    } else if (option == "uuid") {
      line_.uuid = canonical_uuid(value);
    } else if (option == "machine" || option == "M") {
      const OptionList list(value, "type");
      line_.machine = list["type"];
      line_.accel = list["accel"].empty() ? line_.accel : list["accel"];
      if (const auto most = list["max-ram-below-4g"]; !most.empty()) {
        line_.most_ram_below_4g = memory_size(most, 'B');
      }
    } else if (option == "accel") {
      line_.accel = OptionList(value, "accel")["accel"];
    } else if (option == "enable-kvm") {
      line_.accel = "kvm";
    } else if (option == "m") {
      line_.memory_bytes = memory_size(OptionList(value, "size")["size"], 'M');
    } else if (option == "numa") {
      line_.numa_backends += OptionList(value, "type")["memdev"].empty() ? 0U : 1U;
    } else if (option == "qmp" || option == "qmp-pretty") {
      take_qmp(value);
    } else if (option == "chardev") {
      take_chardev(value);
    } else if (option == "mon") {
      const OptionList list(value, "chardev");
      if (list["mode"] == "control") {
        monitors_.push_back(list["chardev"]);
      }
    } else if (option == "netdev" || option == "nic" || option == "net") {
      take_network(value);
    }
  }

  void take_qmp(const std::string &value) {
    constexpr std::string_view kUnix = "unix:";
    if (value.starts_with(kUnix)) {
      line_.qmp_paths.push_back(OptionList(value.substr(kUnix.size()), "path")["path"]);
    } else if (value.starts_with("chardev:")) {
      monitors_.push_back(value.substr(std::string_view("chardev:").size()));
    } else {
      line_.gaps.emplace_back("the QMP monitor is not a Unix socket: not used");
    }
  }

  void take_chardev(const std::string &value) {
    const OptionList list(value, "backend");
    Chardev chardev;
    if (list["backend"] != "socket") {
      chardev.problem = "is not a socket";
    } else if (!list["fd"].empty()) {
      chardev.problem = "was handed over as a descriptor (its owner, such as libvirt, uses it)";
    } else if (list["path"].empty()) {
      chardev.problem = "is not a Unix socket";
    } else if (list["abstract"] == "on") {
      chardev.problem = "is an abstract socket";
    }
    chardev.path = list["path"];
    chardevs_[list["id"]] = chardev;
  }

  void take_network(const std::string &value) {
    const OptionList list(value, "type");
    const std::string type = list["type"];
    if (type == "tap") {
      if (!list["ifname"].empty()) {
        line_.tap_names.push_back(list["ifname"]);
      }
    } else if (std::find(kWithoutTap.begin(), kWithoutTap.end(), type) != kWithoutTap.end()) {
      line_.gaps.push_back("a network card of type " + type +
                           " has no tap: its packets cannot be seen");
    }
  }

  void join_monitors() {
    for (const auto &id : monitors_) {
      const auto found = chardevs_.find(id);
      if (found == chardevs_.end()) {
        line_.gaps.emplace_back("the QMP monitor's character device is not on the command line");
      } else if (!found->second.problem.empty()) {
        line_.gaps.push_back("the QMP monitor " + found->second.problem + ": not used");
      } else {
        line_.qmp_paths.push_back(found->second.path);
      }
    }
  }

  QemuCommandLine line_;
  std::map<std::string, Chardev> chardevs_;
  std::vector<std::string> monitors_;
};

} // namespace

std::vector<std::string> split_arguments(std::string_view nul_separated) {
  std::vector<std::string> arguments;
  while (!nul_separated.empty()) {
    const auto end = std::min(nul_separated.find('\0'), nul_separated.size());
    arguments.emplace_back(nul_separated.substr(0, end));
    nul_separated.remove_prefix(std::min(end + 1, nul_separated.size()));
  }
  return arguments;
}

QemuCommandLine parse_command_line(std::span<const std::string> arguments) {
  return Parser().run(arguments);
}

bool is_qemu_name(std::string_view program) {
  constexpr std::string_view kDeleted = " (deleted)";
  if (program.ends_with(kDeleted)) {
    program.remove_suffix(kDeleted.size());
  }
  program.remove_prefix(program.rfind('/') + 1);
  return program.starts_with("qemu-system-") || program == "kvm" || program == "qemu-kvm";
}

} // namespace outguard::hypervisor
