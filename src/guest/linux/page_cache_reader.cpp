#include "guest/linux/page_cache_reader.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace outguard::guest {
namespace {

constexpr int kMostRetries = 3;
constexpr std::uint64_t kFrameBits = 12;
constexpr std::uint64_t kMostFrames = std::uint64_t{1} << 40;     ///< x86-64: 52 address bits
constexpr std::uint64_t kMostFolioPages = std::uint64_t{1} << 18; ///< 1 GiB
constexpr std::uint32_t kMostPageBytes = 256; ///< sizeof(struct page) is 64, with debugging more
constexpr std::uint64_t kTypeMask = 0170000, kRegular = 0100000; ///< S_IFMT, S_IFREG
constexpr std::uint64_t kMostFileBytes = INT64_MAX;

// include/uapi/linux/magic.h
constexpr std::uint64_t kTmpfs = 0x01021994, kRamfs = 0x858458f6, kOverlay = 0x794c7630,
                        kHugePages = 0x958458f6; ///< its indexes count huge pages until 6.7
/// RWSEM_WRITER_LOCKED (kernel/locking/rwsem.c since 5.3), of rw_semaphore.count.
constexpr std::uint64_t kWriterLocked = 1;

/// Not the page's fault, and true of all that would be read after it.
bool is_final(Fault why) {
  return why.code == FaultCode::LimitReached || why.code == FaultCode::SourceGone;
}

bool is_value(XArrayEntry entry) {
  return (entry & 1) != 0; // swapped out, or the shadow of a page that was evicted
}

} // namespace

tl::expected<PageCacheLayout, std::string> PageCacheLayout::bind(const TypeTable &types,
                                                                 const SymbolTable &symbols) {
  std::string missing;
  PageCacheLayout layout;
  layout.xarray = XArrayLayout::bind(types, missing);

  StructBinder mapping(types, "address_space", missing);
  layout.host = mapping.pointer("host");
  layout.head = mapping.pointer("i_pages.xa_head");
  layout.pages = mapping.place("i_pages").offset;
  layout.mapping = mapping.extent();

  // A folio is its first page; from 5.16 on its members are named there.
  const bool folio = types.member("folio", "mapping").has_value();
  StructBinder page(types, folio ? "folio" : "page", missing);
  layout.page_flags = page.bytes("flags", sizeof(std::uint64_t));
  layout.page_mapping = page.pointer("mapping");
  layout.page_index = page.number("index");
  layout.compound_head = StructBinder(types, "page", missing).optional_place("compound_head", 8);
  if (layout.compound_head) {
    page.include(*layout.compound_head);
  }
  layout.page = page.extent();
  layout.page_bytes = types.size_of("page").value_or(0);

  StructBinder inode(types, "inode", missing);
  layout.number = inode.number("i_ino");
  layout.mode = inode.number("i_mode");
  layout.size = inode.number("i_size");
  layout.superblock = inode.pointer("i_sb");
  // Renamed in 6.6 and 6.7, split up in 6.11.
  layout.modified_seconds = inode.number({"i_mtime.tv_sec", "__i_mtime.tv_sec", "i_mtime_sec"});
  layout.modified_nanoseconds =
      inode.number({"i_mtime.tv_nsec", "__i_mtime.tv_nsec", "i_mtime_nsec"});
  layout.changed_seconds = inode.number({"i_ctime.tv_sec", "__i_ctime.tv_sec", "i_ctime_sec"});
  layout.changed_nanoseconds =
      inode.number({"i_ctime.tv_nsec", "__i_ctime.tv_nsec", "i_ctime_nsec"});
  layout.lock = inode.optional_member("i_rwsem.count.counter", sizeof(std::uint64_t));
  layout.inode = inode.extent();

  StructBinder superblock(types, "super_block", missing);
  layout.magic = superblock.number("s_magic");
  layout.superblock_extent = superblock.extent();

  if (!missing.empty()) {
    return tl::unexpected(missing);
  }
  const auto bit = types.enumerator("PG_uptodate");
  if (!bit || *bit < 0 || *bit > 63) {
    return tl::unexpected(std::string("PG_uptodate"));
  }
  layout.up_to_date_bit = static_cast<unsigned>(*bit);
  if (layout.page_bytes < layout.page.end || layout.page_bytes > kMostPageBytes) {
    return tl::unexpected(std::string("sizeof page"));
  }
  const auto page_map = symbols.find("vmemmap_base");
  if (!page_map) {
    return tl::unexpected(std::string("vmemmap_base"));
  }
  layout.page_map = *page_map;
  return layout;
}

bool CachedFile::is_memory_only() const {
  return magic == kTmpfs || magic == kRamfs;
}

bool CachedFile::is_overlay() const {
  return magic == kOverlay;
}

bool CachedFile::can_stand_behind(const CachedFile &front) const {
  return !is_overlay() && bytes == front.bytes && modified_seconds == front.modified_seconds &&
         modified_nanoseconds == front.modified_nanoseconds &&
         changed_seconds == front.changed_seconds &&
         changed_nanoseconds == front.changed_nanoseconds;
}

Result<CachedFile> PageCacheReader::file_of(GuestVirtual mapping, KernelReader &reader) const {
  ObjectCopy space(layout_.mapping);
  ObjectCopy inode(layout_.inode);
  ObjectCopy superblock(layout_.superblock_extent);
  const auto loaded =
      space.load(reader, mapping)
          .and_then([&] { return inode.load(reader, space.pointer(layout_.host)); })
          .and_then([&] { return superblock.load(reader, inode.pointer(layout_.superblock)); });
  if (!loaded) {
    return tl::unexpected(loaded.error());
  }
  CachedFile file;
  file.mapping = mapping;
  file.inode = inode.address();
  file.inode_number = inode.number(layout_.number);
  file.bytes = inode.number(layout_.size);
  file.modified_seconds = inode.number(layout_.modified_seconds);
  file.modified_nanoseconds = inode.number(layout_.modified_nanoseconds);
  file.changed_seconds = inode.number(layout_.changed_seconds);
  file.changed_nanoseconds = inode.number(layout_.changed_nanoseconds);
  file.magic = superblock.number(layout_.magic);
  file.being_written = layout_.lock && (inode.number(*layout_.lock) & kWriterLocked) != 0;
  if ((inode.number(layout_.mode) & kTypeMask) != kRegular || file.bytes > kMostFileBytes ||
      file.magic == kHugePages) {
    return fault(FaultCode::Malformed, inode.address().raw());
  }
  return file;
}

/// One read of one stretch.
class PageCacheReader::Pass {
public:
  Pass(const PageCacheLayout &layout, const CachedFile &file, std::uint64_t first,
       std::span<std::uint8_t> out, KernelReader &reader)
      : layout_(layout), file_(file), first_(first), out_(out), reader_(reader),
        entries_(out.size() / kPageBytes) {}

  [[nodiscard]] Result<Residency> read();
  /// A page was not what the array said, or the array was not whole: another pass may do better.
  [[nodiscard]] bool is_torn() const { return torn_; }

private:
  /// Neighbouring indexes whose struct pages are neighbours too: copied by one read.
  struct Run {
    std::size_t begin = 0, count = 0;
    bool one_folio = false; ///< all indexes hold the same entry, the folio's first page
  };
  /// What a struct page says of itself.
  struct Page {
    std::uint64_t mapping = 0, index = 0, flags = 0, compound_head = 0;
  };
  enum class State : std::uint8_t { Resident, NotUpToDate, Torn };
  struct Checked {
    State state = State::Torn;
    GuestVirtual page; ///< struct page of the run's first index
  };

  [[nodiscard]] bool is_page(std::size_t at) const {
    return entries_[at] != 0 && !is_value(entries_[at]);
  }
  [[nodiscard]] Run run_from(std::size_t begin) const;
  [[nodiscard]] Result<void> take(const Run &run);
  [[nodiscard]] Result<void> copy(const Run &run, GuestVirtual page);
  void renew(const Run &run, GuestVirtual page);
  [[nodiscard]] Result<Checked> check(const Run &run);
  [[nodiscard]] Result<Checked> check_folio(const Run &run, const Page &first);
  [[nodiscard]] State state_of(const Page &page, std::uint64_t index) const;
  [[nodiscard]] Result<std::vector<Page>> load(GuestVirtual first, std::size_t count);
  [[nodiscard]] std::optional<GuestPhysical> frame_of(GuestVirtual page) const;
  [[nodiscard]] std::span<std::uint8_t> bytes_of(const Run &run) const {
    return out_.subspan(run.begin * kPageBytes, run.count * kPageBytes);
  }

  const PageCacheLayout &layout_;
  const CachedFile &file_;
  const std::uint64_t first_;
  const std::span<std::uint8_t> out_;
  KernelReader &reader_;
  std::vector<XArrayEntry> entries_;
  GuestVirtual page_map_; ///< of the struct page of frame 0
  Residency resident_;
  bool torn_ = false;
};

Result<PageCacheReader::Residency> PageCacheReader::Pass::read() {
  std::fill(out_.begin(), out_.end(), 0);
  ObjectCopy space(layout_.mapping);
  auto loaded = space.load(reader_, file_.mapping);
  if (loaded) {
    XArrayWalk walk(layout_.xarray, reader_);
    loaded = walk.read(file_.mapping.plus_wrapping(layout_.pages), space.number(layout_.head),
                       first_, entries_);
  }
  const auto page_map = reader_.pointer(layout_.page_map);
  if (!loaded || !page_map) {
    const Fault why = loaded ? page_map.error() : loaded.error();
    torn_ = true;
    return is_final(why) ? tl::unexpected(why) : Result<Residency>(resident_);
  }
  page_map_ = *page_map;
  for (std::size_t at = 0; at < entries_.size();) {
    if (!is_page(at)) {
      resident_[at] = entries_[at] == 0 && file_.is_memory_only(); // a hole: zeros
      ++at;
      continue;
    }
    const Run run = run_from(at);
    if (const auto taken = take(run); !taken) {
      return tl::unexpected(taken.error());
    }
    at += run.count;
  }
  return resident_;
}

PageCacheReader::Pass::Run PageCacheReader::Pass::run_from(std::size_t begin) const {
  Run run{begin, 1, begin + 1 < entries_.size() && entries_[begin + 1] == entries_[begin]};
  const std::uint64_t step = run.one_folio ? 0 : layout_.page_bytes;
  while (begin + run.count < entries_.size() && is_page(begin + run.count) &&
         entries_[begin + run.count] == entries_[begin + run.count - 1] + step) {
    ++run.count;
  }
  return run;
}

Result<void> PageCacheReader::Pass::take(const Run &run) {
  const auto before = check(run);
  if (!before) {
    return tl::unexpected(before.error());
  }
  if (before->state != State::Resident) {
    for (std::size_t at = 0; at < run.count && run.count > 1; ++at) {
      const auto taken = take({run.begin + at, 1, run.one_folio});
      if (!taken) {
        return taken;
      }
    }
    torn_ = torn_ || before->state == State::Torn;
    return {};
  }
  if (const auto copied = copy(run, before->page); !copied) {
    return is_final(copied.error()) ? copied : Result<void>();
  }
  renew(run, before->page);
  const auto after = check(run);
  if (!after) {
    return tl::unexpected(after.error());
  }
  if (after->state == State::Resident && after->page == before->page) {
    for (std::size_t at = 0; at < run.count; ++at) {
      resident_.set(run.begin + at);
    }
  } else {
    torn_ = true;
    std::fill(bytes_of(run).begin(), bytes_of(run).end(), 0);
  }
  return {};
}

void PageCacheReader::Pass::renew(const Run &run, GuestVirtual page) {
  reader_.renew(GuestVirtual(entries_[run.begin]), layout_.page_bytes);
  reader_.renew(page, run.count * layout_.page_bytes);
}

Result<void> PageCacheReader::Pass::copy(const Run &run, GuestVirtual page) {
  const auto frame = frame_of(page);
  if (!frame) {
    return fault(FaultCode::Malformed, page.raw());
  }
  const auto done = reader_.read_physical(*frame, bytes_of(run));
  if (!done) {
    std::fill(bytes_of(run).begin(), bytes_of(run).end(), 0);
  }
  return done;
}

Result<PageCacheReader::Pass::Checked> PageCacheReader::Pass::check(const Run &run) {
  const GuestVirtual entry(entries_[run.begin]);
  const bool many = run.count > 1 && !run.one_folio;
  const auto pages = load(entry, many ? run.count : 1);
  if (!pages) {
    return is_final(pages.error()) ? tl::unexpected(pages.error()) : Result<Checked>(Checked{});
  }
  if (!many) {
    return check_folio(run, pages->front());
  }
  Checked checked{State::Resident, entry};
  for (std::size_t at = 0; at < pages->size(); ++at) {
    checked.state = std::max(checked.state, state_of((*pages)[at], first_ + run.begin + at));
  }
  return checked;
}

/// The run may begin anywhere in the folio whose first page the entry is.
Result<PageCacheReader::Pass::Checked> PageCacheReader::Pass::check_folio(const Run &run,
                                                                          const Page &first) {
  const GuestVirtual entry(entries_[run.begin]);
  const std::uint64_t inside = first_ + run.begin - first.index;
  if (inside >= kMostFolioPages) {
    return Checked{};
  }
  const Checked checked{state_of(first, first.index),
                        entry.plus_wrapping(inside * layout_.page_bytes)};
  if (checked.state != State::Resident || (inside == 0 && run.count == 1)) {
    return checked;
  }
  if (!layout_.compound_head) {
    return Checked{}; // nothing says which pages belong to the folio
  }
  const auto pages = load(checked.page, run.count);
  if (!pages) {
    return is_final(pages.error()) ? tl::unexpected(pages.error()) : Result<Checked>(Checked{});
  }
  for (std::size_t at = inside == 0 ? 1 : 0; at < pages->size(); ++at) {
    if ((*pages)[at].compound_head != (entry.raw() | 1)) {
      return Checked{};
    }
  }
  return checked;
}

PageCacheReader::Pass::State PageCacheReader::Pass::state_of(const Page &page,
                                                             std::uint64_t index) const {
  if (page.mapping != file_.mapping.raw() || page.index != index) {
    return State::Torn;
  }
  return (page.flags >> layout_.up_to_date_bit & 1) != 0 ? State::Resident : State::NotUpToDate;
}

Result<std::vector<PageCacheReader::Pass::Page>> PageCacheReader::Pass::load(GuestVirtual first,
                                                                             std::size_t count) {
  std::vector<std::uint8_t> bytes(count * layout_.page_bytes);
  if (const auto done = reader_.read(first, bytes); !done) {
    return tl::unexpected(done.error());
  }
  std::vector<Page> pages(count);
  for (std::size_t at = 0; at < count; ++at) {
    const auto word = [&](const Member &member) {
      std::uint64_t value = 0;
      std::memcpy(&value, bytes.data() + at * layout_.page_bytes + member.offset, sizeof value);
      return value;
    };
    pages[at] = {word(layout_.page_mapping), word(layout_.page_index), word(layout_.page_flags),
                 layout_.compound_head ? word(*layout_.compound_head) : 0};
  }
  return pages;
}

std::optional<GuestPhysical> PageCacheReader::Pass::frame_of(GuestVirtual page) const {
  const std::uint64_t distance = page.raw() - page_map_.raw();
  const std::uint64_t frame = distance / layout_.page_bytes;
  if (page < page_map_ || distance % layout_.page_bytes != 0 || frame >= kMostFrames) {
    return std::nullopt;
  }
  return GuestPhysical(frame << kFrameBits);
}

Result<PageCacheReader::Residency> PageCacheReader::read(const CachedFile &file,
                                                         std::uint64_t first,
                                                         std::span<std::uint8_t> out,
                                                         KernelReader &reader) const {
  for (int attempt = 0;; ++attempt) {
    Pass pass(layout_, file, first, out, reader);
    auto resident = pass.read();
    if (!resident || !pass.is_torn() || attempt == kMostRetries) {
      return resident;
    }
    reader.renew();
  }
}

} // namespace outguard::guest
