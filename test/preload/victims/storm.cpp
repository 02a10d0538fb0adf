// SPDX-License-Identifier: Apache-2.0
// A storm of what can hold the loader's or the allocator's lock, or take code away, under a sampler: four
// threads open, call and close plugins, two throw, two allocate. argv: seconds, folder of the plugins.
// Thread N alone runs plugins 2N and 2N+1, in run_plugin<2N> and <2N+1>, so that no other stack can be right.
// Every other two seconds are calm: plugins stay where they are, long enough for a profiler to find them.
// Notes the CPU time that each plugin's calls used in storm and calm, and how often one lay where another had
// been.
#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "test/preload/victims/storm_plugin.h"
#include "test/preload/victims/victim.h"

namespace {

constexpr int kStormThreads = victim::kPlugins / 2;
constexpr int kThrowers = 2;
constexpr int kAllocators = 2;
constexpr int kThreads = kStormThreads + kThrowers + kAllocators;
constexpr int kStuckSeconds = 10;
constexpr int kPhaseSeconds = 2;

std::string g_folder;
std::atomic<bool> g_over{false};
std::atomic<bool> g_calm{false};
std::atomic<uint64_t> g_rounds[kThreads];  // how far each thread has come
std::atomic<uint64_t> g_wrong{0};          // answers
std::atomic<uint64_t> g_kept{0};           // plugins that were still there after dlclose
// Each written by its thread alone.
int64_t g_storm_ns[victim::kPlugins];
int64_t g_calm_ns[victim::kPlugins];

uint64_t next(uint64_t& seed) {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  return seed ^= seed << 17;
}

// Which plugin lay where last.
class Places {
 public:
  void note(const void* base, int plugin) {
    const std::lock_guard lock(mutex_);
    const auto [place, is_new] = last_.try_emplace(base, plugin);
    if (is_new || place->second == plugin) return;
    place->second = plugin;
    ++changes_;
  }
  int64_t changes() const { return changes_; }

 private:
  std::mutex mutex_;
  std::map<const void*, int> last_;
  int64_t changes_ = 0;
};
Places g_places;

// 2 µs to 4 ms, each length in between as likely on a scale of powers; more for some plugins than for others.
int draw_spins(uint64_t& seed, int plugin) {
  const int length = 24'000 << next(seed) % 9;
  return (length + static_cast<int>(next(seed) % length)) / 4 * (1 + plugin % 4);
}

template <int kPlugin>
void call_once(victim::PluginCall* call, uint64_t& seed) {
  const int spins = draw_spins(seed, kPlugin);
  const uint64_t start = next(seed);
  const auto ending = static_cast<victim::Ending>(next(seed) % 3);
  uint64_t answer = 0;
  try {
    answer = call(start, spins, ending);
    if (ending == victim::Ending::kThrows) ++g_wrong;
  } catch (const std::runtime_error& error) {
    answer = victim::plugin_answer(kPlugin, start, spins);
    if (ending != victim::Ending::kThrows || error.what()[0] != 't') ++g_wrong;
  }
  if (answer != victim::plugin_answer(kPlugin, start, spins)) ++g_wrong;
}

template <int kPlugin>
void call_for_a_while(victim::PluginCall* call, uint64_t& seed) {
  const int64_t start_ns = victim::thread_cpu_ns();
  // Most visits are over before anybody could have looked; one in 16 takes longer.
  for (uint64_t calls = next(seed) % 16 == 0 ? 100 : 1 + next(seed) % 4; calls != 0; --calls) {
    call_once<kPlugin>(call, seed);
  }
  const int64_t calm_ns = victim::thread_cpu_ns();
  g_storm_ns[kPlugin] += calm_ns - start_ns;
  while (g_calm.load(std::memory_order_relaxed)) call_once<kPlugin>(call, seed);
  g_calm_ns[kPlugin] += victim::thread_cpu_ns() - calm_ns;
}

template <int kPlugin>
VICTIM_NOINLINE void run_plugin(uint64_t& seed) {
  const std::string number = std::to_string(kPlugin);
  const std::string path = g_folder + "/storm_plugin_" + number + ".so";
  void* plugin = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (plugin == nullptr) victim::give_up(dlerror());
  auto* call = reinterpret_cast<victim::PluginCall*>(dlsym(plugin, ("call_of_plugin_" + number).c_str()));
  Dl_info info{};
  if (call == nullptr || dladdr(reinterpret_cast<void*>(call), &info) == 0) victim::give_up(path.c_str());
  g_places.note(info.dli_fbase, kPlugin);
  call_for_a_while<kPlugin>(call, seed);
  dlclose(plugin);
  if (dlopen(path.c_str(), RTLD_NOW | RTLD_NOLOAD) != nullptr) ++g_kept;
}

template <int kThread>
VICTIM_NOINLINE void* storm_thread(void*) {
  victim::note_fact(("tid_" + std::to_string(kThread)).c_str(), gettid());
  uint64_t seed = 0x9e3779b97f4a7c15 * (kThread + 1);
  while (!g_over.load(std::memory_order_relaxed)) {
    if (next(seed) % 2 == 0)
      run_plugin<2 * kThread>(seed);
    else
      run_plugin<2 * kThread + 1>(seed);
    ++g_rounds[kThread];
  }
  return nullptr;
}

VICTIM_NOINLINE int descend_and_throw(int depth) {
  if (depth == 0) throw std::out_of_range("the bottom");
  return descend_and_throw(depth - 1) + 1;
}

template <int kThread>
VICTIM_NOINLINE void* throw_thread(void*) {
  for (uint64_t seed = kThread + 1; !g_over.load(std::memory_order_relaxed); ++g_rounds[kThread]) {
    try {
      g_wrong += descend_and_throw(1 + static_cast<int>(next(seed) % 30)) != 0;
    } catch (const std::exception& error) {
      if (error.what()[4] != 'b') ++g_wrong;
    }
  }
  return nullptr;
}

std::atomic<char*> g_shelf[64];

// Blocks of 1 byte to 1 MiB by every entry point; whoever puts one on the shelf frees what lay there.
template <int kThread>
VICTIM_NOINLINE void* malloc_thread(void*) {
  for (uint64_t seed = kThread + 1; !g_over.load(std::memory_order_relaxed); ++g_rounds[kThread]) {
    const size_t bytes = 1 + next(seed) % (size_t{1} << next(seed) % 21);
    char* block = nullptr;
    switch (next(seed) % 4) {
      case 0:
        block = static_cast<char*>(malloc(bytes));
        break;
      case 1:
        block = static_cast<char*>(calloc(1, bytes));
        break;
      case 2:
        block = static_cast<char*>(realloc(malloc(bytes / 2 + 1), bytes));
        break;
      default:
        block = static_cast<char*>(aligned_alloc(64, (bytes + 63) / 64 * 64));
    }
    victim::require(block != nullptr, "malloc");
    block[0] = block[bytes - 1] = 1;
    free(g_shelf[next(seed) % 64].exchange(block));
  }
  return nullptr;
}

// False: one of them stands still.
bool watch(int seconds) {
  uint64_t seen[kThreads] = {};
  int still_seconds[kThreads] = {};
  for (int second = 0; second < seconds; ++second) {
    g_calm = second / kPhaseSeconds % 2 != 0;
    sleep(1);
    for (int i = 0; i < kThreads; ++i) {
      const uint64_t rounds = g_rounds[i].load(std::memory_order_relaxed);
      still_seconds[i] = rounds == seen[i] ? still_seconds[i] + 1 : 0;
      seen[i] = rounds;
      if (still_seconds[i] < kStuckSeconds + kPhaseSeconds) continue;
      printf("thread %d has stood still for %d s\n", i, kStuckSeconds);
      return false;
    }
  }
  g_calm = false;
  return true;
}

void note_facts() {
  for (int i = 0; i < victim::kPlugins; ++i) {
    victim::note_fact("storm_ns", g_storm_ns[i]);
    victim::note_fact("calm_ns", g_calm_ns[i]);
  }
  uint64_t visits = 0;
  for (int i = 0; i < kStormThreads; ++i) visits += g_rounds[i];
  victim::note_fact("visits", static_cast<int64_t>(visits));
  victim::note_fact("place_changes", g_places.changes());
  victim::note_fact("cpu_ns", victim::process_cpu_ns());
}

}  // namespace

int main(int argc, char** argv) {
  victim::require(argc == 3, "usage: storm SECONDS FOLDER");
  g_folder = argv[2];
  void* (*const bodies[kThreads])(void*) = {storm_thread<0>,  storm_thread<1>, storm_thread<2>,
                                            storm_thread<3>,  throw_thread<4>, throw_thread<5>,
                                            malloc_thread<6>, malloc_thread<7>};
  std::vector<pthread_t> threads(kThreads);
  for (int i = 0; i < kThreads; ++i) pthread_create(&threads[i], nullptr, bodies[i], nullptr);
  if (!watch(atoi(argv[1]))) {
    fflush(stdout);
    _exit(3);  // whoever stands still can't be joined
  }
  g_over = true;
  for (pthread_t thread : threads) pthread_join(thread, nullptr);
  for (std::atomic<char*>& block : g_shelf) free(block);
  printf("%llu wrong answers, %llu plugins stayed\n", static_cast<unsigned long long>(g_wrong),
         static_cast<unsigned long long>(g_kept));
  note_facts();
  return g_wrong == 0 && g_kept == 0 ? 0 : 1;
}
