// SPDX-License-Identifier: Apache-2.0
// See symbolizer.h.
#include "collector-client/symbolize/symbolizer.h"

#include <sys/stat.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "collector-client/symbolize/debug_files.h"
#include "collector-client/symbolize/elf_image.h"
#include "collector-client/symbolize/jit_symbols.h"
#include "collector-client/symbolize/symbol_cache.h"
#include "collector-client/symbolize/worker_client.h"

namespace siprof::client {
namespace {

constexpr std::size_t kAddressesPerRequest = 512;  // what a worker's death or time limit costs at most
constexpr std::size_t kNamesPerWrite = 64;

}  // namespace

struct Symbolizer::ModuleState {
  bool looked_on_disk = false;
  bool looked_for_debug_files = false;
  bool worker_fails_with_dwarf = false;
  bool worker_fails = false;
  DebugFiles files;
  std::string disk_key;
  SymbolCache::Entries unwritten;
};

Symbolizer::Symbolizer(SymbolizerOptions options)
    : options_(std::move(options)),
      jit_(std::make_unique<JitSymbols>()),
      worker_(
          std::make_unique<WorkerClient>(WorkerClient::Options{.program = options_.worker_program,
                                                               .memory_bytes = options_.worker_memory_bytes,
                                                               .timeout = options_.worker_timeout})) {
  if (!options_.cache_folder.empty()) {
    disk_ = std::make_unique<SymbolCache>(options_.cache_folder, options_.cache_bytes);
  }
}

Symbolizer::~Symbolizer() {
  for (const auto& [module, state] : states_) write_to_disk(*state, 1);
}

const Module* Symbolizer::anonymous_module(int pid, std::shared_ptr<FileOpener> root) {
  return jit_->add(pid, std::move(root));
}

void Symbolizer::release_anonymous(const Module* module) {
  jit_->release(module);
}

void Symbolizer::prepare(std::span<const CodeAddress> addresses) {
  absl::flat_hash_map<const Module*, std::vector<std::uint64_t>> unknown;
  for (const CodeAddress& address : addresses) {
    if (address.module != nullptr && !names_.contains(address))
      unknown[address.module].push_back(address.address);
  }
  for (auto& [module, list] : unknown) resolve(*module, std::move(list));
}

const Symbolizer::Frames& Symbolizer::frames(const CodeAddress& address) {
  static const Frames kUnknown;
  if (address.module == nullptr) return kUnknown;
  auto found = names_.find(address);
  if (found == names_.end()) {
    resolve(*address.module, {address.address});
    found = names_.find(address);
  }
  found->second.last_used = window_;
  return found->second.frames;
}

void Symbolizer::remember(const Module& module, std::uint64_t address, Frames frames) {
  names_[{&module, address}] = {std::move(frames), window_};
}

void Symbolizer::resolve(const Module& module, std::vector<std::uint64_t> addresses) {
  if (jit_->knows(&module)) return resolve_jit(module, addresses);
  std::unique_ptr<ModuleState>& state = states_[&module];
  if (state == nullptr) state = std::make_unique<ModuleState>();
  if (module.image != nullptr) load_from_disk(module, *state);
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
  std::erase_if(addresses, [&](std::uint64_t address) { return names_.contains({&module, address}); });
  for (std::size_t at = 0; at < addresses.size(); at += kAddressesPerRequest) {
    const auto first = addresses.begin() + static_cast<std::ptrdiff_t>(at);
    const std::size_t count = std::min(kAddressesPerRequest, addresses.size() - at);
    resolve_in_worker(module, *state, {first, first + static_cast<std::ptrdiff_t>(count)});
  }
}

void Symbolizer::resolve_jit(const Module& module, const std::vector<std::uint64_t>& addresses) {
  jit_->refresh(&module);
  resolved_ += addresses.size();
  for (const std::uint64_t address : addresses) {
    const std::string name(jit_->find(&module, address));
    Frames frames;
    if (!name.empty()) frames = {{.name = name, .system_name = name, .file = "", .line = 0, .start_line = 0}};
    remember(module, address, std::move(frames));
  }
}

// With debug information, after a failure without it, after another one not at all.
void Symbolizer::resolve_in_worker(const Module& module, ModuleState& state,
                                   const std::vector<std::uint64_t>& addresses) {
  resolved_ += addresses.size();
  while (module.image != nullptr && !state.worker_fails) {
    if (ask_worker(module, state, addresses)) return;
    (state.worker_fails_with_dwarf ? state.worker_fails : state.worker_fails_with_dwarf) = true;
  }
  for (const std::uint64_t address : addresses) remember(module, address, {});
}

bool Symbolizer::ask_worker(const Module& module, ModuleState& state,
                            const std::vector<std::uint64_t>& addresses) {
  const bool vdso = module.image->descriptor() < 0;
  if (!vdso && !state.looked_for_debug_files && !state.worker_fails_with_dwarf) {
    absl::StatusOr<DebugFiles> files = find_debug_files(module, *worker_);
    if (!files.ok()) return false;
    state.files = *std::move(files);
    debug_files_mismatched_ += state.files.mismatched;
    debug_files_unusable_ += state.files.unusable;
    state.looked_for_debug_files = true;
  }
  WorkerRequest request;
  request.task = WorkerTask::kSymbolize;
  request.use_dwarf = !state.worker_fails_with_dwarf;
  request.key = absl::StrCat(absl::Hex(reinterpret_cast<std::uintptr_t>(&module)));
  request.has_file = !vdso;
  request.has_debug = static_cast<bool>(state.files.debug);
  request.has_alternate = static_cast<bool>(state.files.alternate);
  request.addresses = addresses;
  std::vector<int> descriptors;
  if (request.has_file) descriptors.push_back(module.image->descriptor());
  if (request.has_debug) descriptors.push_back(state.files.debug.get());
  if (request.has_alternate) descriptors.push_back(state.files.alternate.get());
  absl::StatusOr<NamedFrames> frames = worker_->symbolize(request, descriptors);
  if (!frames.ok()) return false;
  const bool keep = disk_ != nullptr && request.use_dwarf && state.files.has_dwarf && !state.disk_key.empty();
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    if (keep) state.unwritten[addresses[i]] = (*frames)[i];
    remember(module, addresses[i], std::move((*frames)[i]));
  }
  return true;
}

void Symbolizer::load_from_disk(const Module& module, ModuleState& state) {
  if (state.looked_on_disk || disk_ == nullptr) return;
  state.looked_on_disk = true;
  state.disk_key = module.image->cache_key();
  if (state.disk_key.empty()) return;
  for (auto& [address, frames] : disk_->load(state.disk_key)) remember(module, address, std::move(frames));
}

void Symbolizer::write_to_disk(ModuleState& state, std::size_t at_least) {
  if (state.unwritten.size() < at_least) return;
  SymbolCache::Entries entries = disk_->load(state.disk_key);
  entries.merge(state.unwritten);
  state.unwritten.clear();
  if (!disk_->store(state.disk_key, entries).ok() || !disk_->trim().ok()) ++disk_failures_;
}

void Symbolizer::give_up() {
  worker_->give_up();
}

void Symbolizer::trim() {
  worker_->stop();
  // JIT code moves, and its module may go: its names are looked up again in every window.
  absl::erase_if(names_, [&](const auto& known) { return jit_->knows(known.first.module); });
  jit_->trim();
  for (const auto& [module, state] : states_) {
    write_to_disk(*state, kNamesPerWrite);
    state->files = {};
    state->looked_for_debug_files = false;
  }
  if (names_.size() > kMaxNames) {
    absl::erase_if(names_, [&](const auto& known) { return known.second.last_used < window_; });
  }
  ++window_;
}

void Symbolizer::forget(const absl::flat_hash_set<const Module*>& modules) {
  absl::erase_if(names_, [&](const auto& known) { return modules.contains(known.first.module); });
  absl::erase_if(states_, [&](const auto& known) {
    if (!modules.contains(known.first)) return false;
    write_to_disk(*known.second, 1);
    return true;
  });
}

std::uint64_t Symbolizer::worker_cpu_ns() const {
  return worker_->cpu_ns();
}

std::map<std::string, std::uint64_t> Symbolizer::counters() const {
  return {{"symbolizer_addresses", resolved_},
          {"symbolizer_worker_starts", worker_->starts()},
          {"symbolizer_worker_failures", worker_->failures()},
          {"symbolizer_worker_timeouts", worker_->timeouts()},
          {"symbolizer_debug_files_mismatched", debug_files_mismatched_},
          {"symbolizer_debug_files_unusable", debug_files_unusable_},
          {"symbolizer_cache_failures", disk_failures_ + (disk_ != nullptr ? disk_->damaged_files() : 0)}};
}

}  // namespace siprof::client
