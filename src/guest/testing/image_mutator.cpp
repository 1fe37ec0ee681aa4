#include "guest/testing/image_mutator.h"

#include <algorithm>

namespace outguard::guest {
namespace {

constexpr std::uint64_t kWord = sizeof(std::uint64_t), kPage = 4096;
constexpr GuestPhysical kNowhere{std::uint64_t{1} << 45};

std::uint64_t power(std::uint16_t payload, unsigned bits) {
  return (std::uint64_t{1} << payload % bits) - (payload >> 15);
}

std::uint64_t with_half(std::uint64_t old, std::uint8_t choice, std::uint64_t half) {
  const std::uint64_t low = 0xffff'ffff;
  return choice % 2 == 0 ? (old & ~low) | (half & low) : (old & low) | half << 32;
}

} // namespace

ImageMutator::ImageMutator(GuestImageBuilder &image,
                           const std::vector<GuestImageBuilder::Object> &objects)
    : image_(image) {
  for (const auto &object : objects) {
    Target made{object.address, object.size, {}};
    std::vector<std::uint64_t> words(object.size / kWord);
    const auto read = image.space().read(
        object.address, {reinterpret_cast<std::uint8_t *>(words.data()), words.size() * kWord});
    for (std::uint32_t index = 0; read && index < words.size(); ++index) {
      if (words[index] != 0) {
        made.used.push_back(index * static_cast<std::uint32_t>(kWord));
      }
    }
    targets_.push_back(std::move(made));
  }
  std::ranges::sort(targets_, {}, &Target::address);
}

/// Of the object's words that say something; one in eight is a word that is zero.
GuestVirtual ImageMutator::word_of(const Target &target, std::uint8_t choice) {
  const std::uint64_t offset =
      target.used.empty() || choice % 8 == 7
          ? choice / 8 % std::max<std::uint64_t>(target.size / kWord, 1) * kWord
          : target.used[std::size_t{choice} / 8 * 7 % target.used.size()];
  return target.address.plus_wrapping(offset);
}

const ImageMutator::Target *ImageMutator::holder_of(std::uint64_t pointer) const {
  const auto after =
      std::ranges::upper_bound(targets_, GuestVirtual(pointer), {}, &Target::address);
  if (after == targets_.begin()) {
    return nullptr;
  }
  const Target &found = *(after - 1);
  return pointer - found.address.raw() < found.size ? &found : nullptr;
}

std::optional<std::uint64_t> ImageMutator::new_value(Kind kind, const Target &owner,
                                                     const Word &old, std::uint16_t payload,
                                                     ByteCursor &input) const {
  const Target *const led_to = holder_of(old.value);
  const std::uint64_t inside = led_to == nullptr ? 0 : old.value - led_to->address.raw();
  switch (kind) {
  case ToPeer:
    for (std::uint64_t step = 0; led_to != nullptr && step < targets_.size(); ++step) {
      const Target &peer = target(payload + step);
      if (peer.size == led_to->size && &peer != led_to) {
        return peer.address.raw() + inside;
      }
    }
    [[fallthrough]];
  case ToObject:
    return target(payload).address.raw() + (payload >> 10) * kWord;
  case ToOwner:
    return owner.address.raw() + inside;
  case ToItself:
    return old.at.raw();
  case ToWord:
    return input.le64().value_or(0);
  case ToSmall:
    return payload % 2 == 0 ? payload >> 1 : payload >> 10;
  case ToPower:
    return power(payload, 64);
  case HalfToSmall:
    return with_half(old.value, static_cast<std::uint8_t>(payload), payload >> 1);
  case HalfToPower:
    return with_half(old.value, static_cast<std::uint8_t>(payload), power(payload, 32));
  case LowBits:
    return old.value ^ (payload % 256U);
  case FlipByte:
    return old.value ^ std::uint64_t{payload} << (payload % 7U * 8U);
  default:
    return std::nullopt;
  }
}

bool ImageMutator::change(ByteCursor &input) {
  const auto kind_byte = input.u8();
  const auto index = input.le16();
  const auto choice = input.u8();
  const auto payload = input.le16();
  if (!kind_byte || !index || !choice || !payload) {
    return false;
  }
  const auto kind = static_cast<Kind>((*kind_byte & ~kLate) % kKinds);
  const Target &chosen = target(*index);
  const GuestVirtual at = word_of(chosen, *choice);
  const auto old = image_.space().read<std::uint64_t>(at);
  if (!old) {
    return true; // its page is away
  }
  const Word before{at, old->any_value()};
  if (const auto value = new_value(kind, chosen, before, *payload, input)) {
    if ((*kind_byte & kLate) == kLate) {
      set_late(before, *value, *payload);
    } else {
      set({at, *value});
    }
  } else if (kind == Swap) {
    const GuestVirtual there = word_of(target(*payload), static_cast<std::uint8_t>(*payload >> 8));
    if (const auto other = image_.space().read<std::uint64_t>(there)) {
      set({at, other->any_value()});
      set({there, before.value});
    }
  } else {
    change_page(kind, kind == UnmapTail ? chosen.address.plus_wrapping(chosen.size - 1) : at,
                *payload);
  }
  return true;
}

void ImageMutator::change_page(Kind kind, GuestVirtual at, std::uint16_t payload) {
  const GuestVirtual page(at.raw() & ~(kPage - 1));
  const auto frame = image_.space().translate(page);
  if (!frame) {
    return;
  }
  pages_.push_back({page, *frame});
  const auto other =
      image_.space().translate(GuestVirtual(target(payload).address.raw() & ~(kPage - 1)));
  if (kind == NoMemory) {
    image_.map_page(image_.root(), page, kNowhere);
  } else if (kind == Remap && other) {
    image_.map_page(image_.root(), page, *other);
  } else {
    image_.unmap(page);
  }
}

void ImageMutator::set(const Word &word) {
  const auto physical = image_.space().translate(word.at);
  const auto old = image_.space().read<std::uint64_t>(word.at);
  if (physical && old) {
    words_.push_back({*physical, old->any_value()});
    image_.memory().put(*physical, word.value);
  }
}

void ImageMutator::set_late(const Word &before, std::uint64_t lie, std::uint16_t payload) {
  constexpr std::size_t kMostReads = 1024, kMostPeriod = 64;
  const auto physical = image_.space().translate(before.at);
  if (!physical) {
    return;
  }
  words_.push_back({*physical, before.value}); // what is set after it may find the lie there
  late_.push_back(
      {*physical, before.value, lie, payload % kMostReads, 1 + (payload >> 10) % kMostPeriod});
  next_move_ = 0;
  image_.memory().before_read([this](std::size_t reads) { move_on(reads); });
}

void ImageMutator::move_on(std::size_t reads) {
  if (reads < next_move_) {
    return;
  }
  next_move_ = SIZE_MAX;
  for (const LateWord &late : late_) {
    if (reads < late.first) {
      next_move_ = std::min(next_move_, late.first);
      continue;
    }
    const std::size_t turns = (reads - late.first) / late.period;
    image_.memory().put(late.at, turns % 2 == 0 ? late.lie : late.before);
    next_move_ = std::min(next_move_, late.first + (turns + 1) * late.period);
  }
}

void ImageMutator::restore() {
  image_.memory().before_read({});
  late_.clear();
  for (; !pages_.empty(); pages_.pop_back()) {
    image_.map_page(image_.root(), pages_.back().at, pages_.back().frame);
  }
  for (; !words_.empty(); words_.pop_back()) {
    image_.memory().put(words_.back().at, words_.back().before);
  }
}

} // namespace outguard::guest
