#pragma once
// A LinuxImage with at least one of everything that guest/linux reads, in two forms, since kernels
// differ: lists and tables of the whole kernel (5.10), or trees and tables of each namespace (6.12
// and later). For fuzzers: an honest guest that can be made to lie. One thread at a time.

#include <cstdint>
#include <vector>

#include "facts/flow_seen.h"
#include "guest/memory/cpu_registers.h"
#include "guest/testing/holding_builder.h"
#include "guest/testing/linux_image.h"

namespace outguard::guest {

class FullImage {
public:
  enum class Form : std::uint8_t { Lists, Trees };
  explicit FullImage(Form form);

  /// As LinuxImage's; symbols and types are borrowed, so that attaching costs no copy of them.
  [[nodiscard]] Kernel kernel();
  [[nodiscard]] GuestImageBuilder &builder() { return image_.builder(); }
  /// All that can be made to lie; struct pages too.
  [[nodiscard]] const std::vector<GuestImageBuilder::Object> &objects() const { return objects_; }
  /// Of one owner, of two, without a connection, and one that only a listener can have.
  [[nodiscard]] const std::vector<FlowTuple> &flows() const { return flows_; }
  /// Of a CPU that runs this kernel.
  [[nodiscard]] std::vector<CpuRegisters> registers() const;

private:
  void define_types();
  void define_map_types();
  void define_file_types();
  void make_processes();
  void make_sockets();
  void make_other_sockets();
  void make_held_sockets();
  void make_files();
  void make_kernel_text();
  [[nodiscard]] GuestVirtual make_file_pages(std::uint64_t pages, std::uint64_t magic);
  /// Its mm, with `file` at the start of its code.
  void make_maps(GuestVirtual task, GuestVirtual file);
  void put_maps_into_tree(GuestVirtual mm, const std::vector<GuestVirtual> &areas);
  [[nodiscard]] GuestVirtual make_unix_table(const SocketObjects &socket);
  void hold(GuestVirtual task, std::uint32_t fd, const SocketObjects &socket,
            std::uint32_t references = 1);
  [[nodiscard]] SocketObjects add_connection(std::uint16_t port, GuestVirtual net = {});
  [[nodiscard]] GuestVirtual new_object(std::string_view type);
  [[nodiscard]] bool has_trees() const { return form_ == Form::Trees; }

  Form form_;
  LinuxImage image_;
  HoldingBuilder holding_;
  GuestVirtual net_, web_, child_, thread_, special_;
  std::vector<GuestVirtual> users_; ///< processes with programs of their own
  std::vector<GuestImageBuilder::Object> objects_;
  std::vector<FlowTuple> flows_;
};

} // namespace outguard::guest
