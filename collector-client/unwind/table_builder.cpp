// SPDX-License-Identifier: Apache-2.0
// See table_builder.h.
#include "collector-client/unwind/table_builder.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "absl/strings/escaping.h"
#include "collector-client/base/clock.h"
#include "proto/siprof/unwind_tables.h"

namespace siprof::client {
namespace {

constexpr std::uint64_t kMagic = 0x32'62'61'74'70'69'73;  // "siptab2": the last digit is kArenaVersion
static_assert(kArenaVersion == 2);

bool is_trusted(const ElfImage& image) {
  if (image.descriptor() < 0) return true;  // the vDSO, the kernel's
  struct stat file {};
  return fstat(image.descriptor(), &file) == 0 && (file.st_uid == 0 || file.st_uid == geteuid());
}

}  // namespace

TableBuilder::TableBuilder(TableSettings settings) : settings_(std::move(settings)) {
  if (!settings_.cache_folder.empty())
    disk_ = std::make_unique<FileCache>(settings_.cache_folder, kMagic, settings_.cache_bytes);
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
    const auto table = compile_table(module->image);
    if (!table.ok()) return 0;
    const Done done = keep(module, *module->image, *table);
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
  ++asked_;
  if (!worker_.joinable()) worker_ = std::thread([this] { work(); });
  wake_.notify_one();
  return 0;
}

TableBuilder::Done TableBuilder::keep(const Module* module, const ElfImage& image,
                                      const CompiledTable& table) {
  const auto place = arena_->append(table.bytes);
  if (!place.ok()) spdlog::warn("{}", std::string(place.status().message()));
  const std::string bytes = absl::HexStringToBytes(image.build_id());
  std::uint8_t build_id[kBuildIdBytes] = {};
  std::memcpy(build_id, bytes.data(), std::min(bytes.size(), sizeof build_id));
  mix_layout(build_id, image.layout());
  // Nobody else's file decides how the programs of this user are walked.
  if (place.ok() && !bytes.empty() && is_trusted(image)) arena_->name(build_id, *place);
  return {module, place.value_or(0), table.rows};
}

void TableBuilder::work() {
  for (std::unique_lock lock(mutex_);;) {
    wake_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    if (stopping_) return;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    work_on(std::move(job));
    settled_.fetch_add(1, std::memory_order_relaxed);
    lock.lock();
  }
}

void TableBuilder::work_on(Job job) {
  const auto image = ElfImage::open(std::move(job.file), nullptr);
  if (!image.ok()) return;
  const std::string key = (*image)->cache_key();
  std::optional<CompiledTable> made;
  Done done{};
  if (const auto known = known_.find(key); known != known_.end()) {
    done = {job.module, known->second.place, 0};
  } else if (const auto cached = load(key)) {
    done = keep(job.module, **image, *cached);
  } else if (auto compiled = compile(*image); compiled.ok()) {
    done = keep(job.module, **image, made.emplace(*std::move(compiled)));
  }
  if (done.place == 0) return;
  if (!key.empty()) known_.emplace(key, done);
  {
    const std::lock_guard lock(mutex_);
    done_.push_back(done);
  }
  if (settings_.made) settings_.made();
  if (made) store(key, *made);
}

// The largest programs take seconds; longer than this only what somebody made up. The agent's end doesn't
// wait.
absl::StatusOr<CompiledTable> TableBuilder::compile(const std::shared_ptr<const ElfImage>& image) {
  constexpr std::uint64_t kMostCpuNs = 20'000'000'000;
  const std::uint64_t begin = cpu_time_ns(CLOCK_THREAD_CPUTIME_ID);
  auto table = compile_table(
      image, [&] { return !stopping_ && cpu_time_ns(CLOCK_THREAD_CPUTIME_ID) - begin < kMostCpuNs; });
  if (table.status().code() == absl::StatusCode::kDeadlineExceeded && !stopping_)
    spdlog::warn("no unwind table for the file with build-id {}: {}", image->build_id(),
                 std::string(table.status().message()));
  return table;
}

// What is on disk is no less checked than what a process reads: by its readers, at each number.
std::optional<CompiledTable> TableBuilder::load(const std::string& key) {
  if (disk_ == nullptr || key.empty()) return std::nullopt;
  const std::optional<std::string> content = disk_->load(key);
  UnwindTable header{};
  if (!content || content->size() < sizeof header) return std::nullopt;
  std::memcpy(&header, content->data(), sizeof header);
  loaded_.fetch_add(1, std::memory_order_relaxed);
  const auto bytes = std::as_bytes(std::span(*content));
  return CompiledTable{{bytes.begin(), bytes.end()}, header.rows};
}

void TableBuilder::store(const std::string& key, const CompiledTable& table) {
  if (disk_ == nullptr || key.empty() || disk_fails_) return;
  absl::Status stored =
      disk_->store(key, {reinterpret_cast<const char*>(table.bytes.data()), table.bytes.size()});
  if (stored.ok()) stored = disk_->trim();
  if (stored.ok()) return;
  disk_fails_ = true;
  spdlog::warn("unwind tables aren't kept for the next start: {}", std::string(stored.message()));
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
  settled_.fetch_add(std::erase_if(jobs_, [&](const Job& job) { return modules.contains(job.module); }),
                     std::memory_order_relaxed);
}

}  // namespace siprof::client
