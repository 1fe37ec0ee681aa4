#pragma once
// Makes an honest image lie: input bytes are a list of changes to its objects, all of which can be
// taken back. Knows of pointers that they lead into objects, with an offset and low bits that mean
// something. Borrows the image; one thread at a time.

#include <cstdint>
#include <optional>
#include <vector>

#include "guest/bytes/byte_cursor.h"
#include "guest/testing/guest_image_builder.h"

namespace outguard::guest {

class ImageMutator {
public:
  /// `objects` of an image that is finished; what they hold now is what is honest.
  ImageMutator(GuestImageBuilder &image, const std::vector<GuestImageBuilder::Object> &objects);

  /// False: the input has no further change. Some changes come to pass only while the guest is
  /// read, back and forth, from a read on that the input says.
  bool change(ByteCursor &input);
  void restore();

  enum Kind : std::uint8_t {
    ToObject, ///< another kind of object, at its start or a little behind
    ToPeer,   ///< an object of the same size as the one led to, at the same offset, same low bits
    ToOwner,  ///< the object that holds the word, likewise: a cycle
    ToItself, ///< as the head of an empty list does
    ToWord,
    ToSmall, ///< lengths, counts, states
    ToPower, ///< lengths, masks and shifts beyond all reason
    HalfToSmall,
    HalfToPower,
    LowBits, ///< tags, types, ends of lists
    FlipByte,
    Swap, ///< with another object's word
    Unmap,
    UnmapTail, ///< the page where the object ends
    Remap,     ///< its page shows what another object's page does
    NoMemory,  ///< its page is mapped to where no RAM is
  };
  static constexpr std::uint8_t kKinds = NoMemory + 1;
  static constexpr std::uint8_t kLate = 0xe0; ///< beside the kind: while the guest is read

private:
  struct Target {
    GuestVirtual address;
    std::uint64_t size = 0;
    std::vector<std::uint32_t> used; ///< offsets of words that are not 0
  };
  struct Word {
    GuestVirtual at;
    std::uint64_t value = 0;
  };
  struct Written { ///< by frame: mappings change too
    GuestPhysical at;
    std::uint64_t before = 0;
  };
  struct Page {
    GuestVirtual at;
    GuestPhysical frame;
  };
  /// A word that changes there and back while the guest is read.
  struct LateWord {
    GuestPhysical at;
    std::uint64_t before = 0, lie = 0;
    std::size_t first = 0, period = 1; ///< reads
  };

  [[nodiscard]] const Target &target(std::uint64_t index) const {
    return targets_[index % targets_.size()];
  }
  [[nodiscard]] static GuestVirtual word_of(const Target &target, std::uint8_t choice);
  [[nodiscard]] const Target *holder_of(std::uint64_t pointer) const;
  /// What the word becomes; nullopt: the change is not one of a word.
  [[nodiscard]] std::optional<std::uint64_t> new_value(Kind kind, const Target &owner,
                                                       const Word &old, std::uint16_t payload,
                                                       ByteCursor &input) const;
  void change_page(Kind kind, GuestVirtual at, std::uint16_t payload);
  void set(const Word &word);
  void set_late(const Word &before, std::uint64_t lie, std::uint16_t payload);
  void move_on(std::size_t reads);

  GuestImageBuilder &image_;
  std::vector<Target> targets_; ///< by address
  std::vector<Written> words_;
  std::vector<Page> pages_;
  std::vector<LateWord> late_;
  std::size_t next_move_ = 0; ///< the read before which one of them changes
};

} // namespace outguard::guest
