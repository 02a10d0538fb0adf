// SPDX-License-Identifier: Apache-2.0
// See table_builder.h.
#include "collector-client/unwind/table_builder.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>

#include <utility>

#include "collector-client/unwind/table_compiler.h"

namespace siprof::client {

TableBuilder::TableBuilder() {
  auto arena = TableArena::make();
  if (arena.ok())
    arena_ = *std::move(arena);
  else
    spdlog::warn("stacks are copied, not walked: {}", std::string(arena.status().message()));
}

TableBuilder::~TableBuilder() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (worker_.joinable()) worker_.join();
}

std::uint32_t TableBuilder::place_of(const Module* module) {
  if (module == nullptr || module->image == nullptr || arena_ == nullptr) return 0;
  const auto [known, is_new] = places_.try_emplace(module, 0);
  if (!is_new) return known->second;
  const int file = module->image->descriptor();
  if (file < 0) {  // the vDSO's copy: small
    const Done done = make(module, module->image);
    rows_ += done.rows;
    return known->second = done.place;
  }
  // An image of its own: libelf's handles are one thread's.
  UniqueFd own(fcntl(file, F_DUPFD_CLOEXEC, 3));
  if (!own) return 0;
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back({module, std::move(own)});
  }
  if (!worker_.joinable()) worker_ = std::thread([this] { work(); });
  wake_.notify_one();
  return 0;
}

TableBuilder::Done TableBuilder::make(const Module* name, const std::shared_ptr<const ElfImage>& image) {
  const auto table = compile_table(image);
  if (!table.ok()) return {name, 0, 0};
  const auto place = arena_->append(table->bytes);
  if (!place.ok()) spdlog::warn("{}", std::string(place.status().message()));
  return {name, place.value_or(0), table->rows};
}

void TableBuilder::work() {
  for (std::unique_lock lock(mutex_);;) {
    wake_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    if (stopping_) return;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    Done done{job.module, 0, 0};
    if (auto image = ElfImage::open(std::move(job.file), nullptr); image.ok())
      done = make(job.module, *image);
    lock.lock();
    done_.push_back(done);
  }
}

void TableBuilder::take_results() {
  std::deque<Done> done;
  {
    const std::lock_guard lock(mutex_);
    done.swap(done_);
  }
  for (const Done& one : done) {
    const auto known = places_.find(one.module);
    rows_ += one.rows;
    if (known == places_.end() || one.place == 0) continue;
    known->second = one.place;
    ++generation_;
  }
}

std::uint64_t TableBuilder::generation() {
  take_results();
  return generation_;
}

void TableBuilder::forget(const absl::flat_hash_set<const Module*>& modules) {
  take_results();
  absl::erase_if(places_, [&](const auto& entry) { return modules.contains(entry.first); });
  const std::lock_guard lock(mutex_);
  std::erase_if(jobs_, [&](const Job& job) { return modules.contains(job.module); });
}

}  // namespace siprof::client
