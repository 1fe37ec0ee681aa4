#include "guest/linux/file_hasher.h"

#include <algorithm>

namespace outguard::guest {
namespace {

constexpr int kMostAttempts = 2;
constexpr std::uint64_t kPageBytes = PageCacheReader::kPageBytes;

std::uint64_t pages_of(std::uint64_t bytes) {
  return (bytes + kPageBytes - 1) / kPageBytes;
}

} // namespace

FileHasher::FileHasher(const PageCacheReader &pages, const CachedFile &file,
                       std::uint64_t most_bytes, std::span<std::uint8_t> copy)
    : pages_(&pages), file_(file), most_bytes_(most_bytes), copy_(copy) {
  start();
}

void FileHasher::start() {
  result_ = {};
  result_.file_bytes = file_.bytes;
  digests_.emplace();
  missing_.clear();
  at_ = 0;
  ++attempts_;
  if (file_.bytes > most_bytes_) {
    end(FileHash::Status::TooLarge);
  }
}

void FileHasher::end(FileHash::Status status) {
  result_.status = status;
  done_ = true;
}

void FileHasher::note_missing(std::uint64_t offset, std::uint64_t bytes) {
  if (!missing_.empty() && missing_.back().offset + missing_.back().bytes == offset) {
    missing_.back().bytes += bytes;
  } else if (missing_.size() < kMostMissing) {
    missing_.push_back({offset, bytes});
  }
}

bool FileHasher::step(KernelReader &reader) {
  if (done_) {
    return false;
  }
  if (at_ >= file_.bytes) {
    finish(reader);
    return !done_;
  }
  const std::uint64_t left = file_.bytes - at_;
  const std::uint64_t pages = std::min<std::uint64_t>(pages_of(left), PageCacheReader::kMostPages);
  slice_.resize(pages * kPageBytes);
  const auto resident = pages_->read(file_, at_ / kPageBytes, slice_, reader);
  if (!resident) {
    end(FileHash::Status::Unreadable);
    return false;
  }
  const std::uint64_t bytes = std::min<std::uint64_t>(left, slice_.size());
  for (std::uint64_t page = 0; page < pages; ++page) {
    if ((*resident)[page]) {
      result_.resident_bytes += std::min(kPageBytes, bytes - page * kPageBytes);
    } else {
      digests_.reset();
      note_missing(at_ + page * kPageBytes, std::min(kPageBytes, bytes - page * kPageBytes));
    }
  }
  if (!copy_.empty()) {
    std::copy_n(slice_.begin(), bytes, copy_.begin() + static_cast<std::ptrdiff_t>(at_));
  }
  if (digests_) {
    digests_->add(std::span(slice_).first(bytes));
  }
  at_ += bytes;
  return true;
}

void FileHasher::finish(KernelReader &reader) {
  reader.renew();
  const auto now = pages_->file_of(file_.mapping, reader);
  if (!now || now->inode != file_.inode || now->inode_number != file_.inode_number) {
    return end(FileHash::Status::Unreadable); // another file lives there now, or none
  }
  if (*now != file_ || now->being_written) {
    if (attempts_ == kMostAttempts) {
      return end(FileHash::Status::Changed);
    }
    file_ = *now;
    return start();
  }
  if (!digests_) {
    return end(FileHash::Status::Partial);
  }
  const auto digests = digests_->finish();
  if (digests) {
    result_.sha256 = digests->sha256;
    result_.sha1 = digests->sha1;
    result_.md5 = digests->md5;
  }
  end(digests ? FileHash::Status::Complete : FileHash::Status::Unreadable);
}

} // namespace outguard::guest
