// SPDX-License-Identifier: Apache-2.0
// Exceptions of C++ and Python: where each was thrown or raised.
#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/container/node_hash_map.h"
#include "collector-client/base/presentable.h"
#include "collector-client/intake/intake.h"
#include "collector-client/symbolize/demangle.h"

namespace siprof::client {
namespace {

constexpr std::uint64_t kMostThrown = 1u << 24;  // that one stack stands for
constexpr std::size_t kMostTypes = 4096;         // names kept
constexpr std::size_t kMostThreads = 1024;       // whose last ones are held back
// Of a thread. In Python others may be raised, and caught, before it is known that nobody catches the first:
// by `finally`, by what has to be left on the way.
constexpr std::size_t kHeldBack = 4;
constexpr std::size_t kMostMessages = 500;  // different ones in a window
constexpr char kNoType[] = "(unknown)";
constexpr char kOtherMessage[] = "(other messages)";

class ErrorsIntake : public Intake {
 public:
  explicit ErrorsIntake(const IntakeSources& sources)
      : pool_(sources.pool), process_(sources.process), pid_(sources.pid) {}

  Kind kind() const override { return Kind::kErrors; }

  void take(const RawSample& record, SampleView sample, IntakeOutput& out) override {
    const EventHead& head = record.record.head;
    const Origin origin{head.values[kErrorLanguage], head.values[kErrorIdentity]};
    const bool is_unhandled = head.values[kErrorUnhandled] != 0;
    if (is_unhandled && head.values[kErrorThrown] == 0) return take_unhandled(sample.thread_id, origin, out);
    const std::uint64_t weight = std::clamp<std::uint64_t>(head.values[kErrorThrown], 1, kMostThrown);
    known_ += weight;
    if (last_.size() >= kMostThreads) release_all(out);
    HeldBack& held = last_[sample.thread_id];
    Throw& last = held.throws[held.next++ % kHeldBack];
    release(last, out);
    last.stack.assign(sample.stack.begin(), sample.stack.end());
    last.sample = sample;
    last.thread_name = sample.thread_name;
    last.origin = origin;
    // The type's name, and after a zero the message.
    const std::size_t end = std::min(record.extra.find('\0'), record.extra.size());
    last.type = type_of(record.extra.substr(0, end), origin);
    last.message = end < record.extra.size() ? message_of(record.extra.substr(end + 1)) : "";
    last.weight = static_cast<std::int64_t>(weight);
    if (!is_unhandled) return;
    out.count("throws_unhandled", weight);
    add(last, std::exchange(last.weight, 0), "false", out);
  }

  // The process counts each throw before it takes the stack, so that those of the last window but one that
  // still have none never will.
  void account(const Rates& rates, IntakeOutput& out) override {
    out.state("error_interval", rates.error_interval);
    release_all(out);
    messages_.clear();
    add_missing(thrown_before_, out);
    thrown_before_ = thrown();
  }
  void finish(IntakeOutput& out) override { add_missing(thrown(), out); }

 private:
  // Which one it is: its language, and its identity in Python.
  struct Origin {
    std::uint64_t language = 0;
    std::uint64_t identity = 0;

    friend bool operator==(const Origin&, const Origin&) = default;
    bool is_python() const { return language == static_cast<std::uint64_t>(ErrorLanguage::kPython); }
  };
  // One that isn't added before it is known whether somebody catches it.
  struct Throw {
    Origin origin;
    Stack stack;
    SampleView sample;  // but for the stack and the names
    std::string thread_name;
    std::string type;
    std::string message;      // empty: not asked for, or there is none
    std::int64_t weight = 0;  // 0: none
  };

  struct HeldBack {
    std::array<Throw, kHeldBack> throws;
    std::size_t next = 0;  // the oldest one's place

    // The latest one of that origin; null: it is in the window before, or has no stack.
    Throw* find(const Origin& origin) {
      for (std::size_t i = 1; i <= kHeldBack; ++i) {
        Throw& thrown = throws[(next + 2 * kHeldBack - i) % kHeldBack];
        if (thrown.weight != 0 && thrown.origin == origin) return &thrown;
        // Of C++'s only the last one is known to be it.
        if (thrown.weight != 0 && !origin.is_python()) return nullptr;
      }
      return nullptr;
    }
  };

  static void add(const Throw& thrown, std::int64_t count, const char* handled, IntakeOutput& out) {
    if (count == 0) return;
    const SampleLabel labels[] = {{"handled", handled}, {"type", thrown.type}, {"message", thrown.message}};
    SampleView sample = thrown.sample;
    sample.stack = thrown.stack;
    sample.thread_name = thrown.thread_name;
    sample.labels = std::span(labels).first(thrown.message.empty() ? 2 : 3);
    sample.values = {&count, 1};
    out.add(sample);
  }

  static void release(Throw& thrown, IntakeOutput& out) {
    add(thrown, std::exchange(thrown.weight, 0), "true", out);
  }

  void release_all(IntakeOutput& out) {
    for (auto& [thread, held] : last_) {
      for (Throw& thrown : held.throws) release(thrown, out);
    }
    last_.clear();
  }

  void take_unhandled(pid_t thread, const Origin& origin, IntakeOutput& out) {
    out.count("throws_unhandled", 1);
    const auto held = last_.find(thread);
    Throw* last = held != last_.end() ? held->second.find(origin) : nullptr;
    if (last == nullptr) return;
    add(*last, 1, "false", out);
    --last->weight;
    release(*last, out);
  }

  // Hostile memory: any numbers.
  std::uint64_t thrown() const {
    const SharedCounters counters = pool_.counters();
    return counters[static_cast<std::size_t>(Counter::throws)] +
           counters[static_cast<std::size_t>(Counter::python_raises)];
  }

  // Totals are exact: what was thrown and lost its stack is there without one.
  void add_missing(std::uint64_t thrown, IntakeOutput& out) {
    if (thrown <= known_) return;
    const std::uint64_t missing = std::min(thrown - known_, kMostThrown);
    const SampleLabel labels[] = {{"handled", "true"}, {"type", kNoType}};
    const std::int64_t values[] = {static_cast<std::int64_t>(missing)};
    SampleView sample;
    sample.process = process_;
    sample.pid = pid_;
    sample.labels = labels;
    sample.values = values;
    out.add(sample);
    out.count("throws_without_stack", missing);
    known_ += missing;
  }

  // Programs put numbers and names into them: of many different ones a window has the first.
  std::string message_of(const std::string& text) {
    std::string message = presentable(text);
    if (messages_.size() >= kMostMessages && !messages_.contains(message)) return kOtherMessage;
    return *messages_.insert(std::move(message)).first;
  }

  // Python's name of a type is what it is called.
  std::string type_of(const std::string& name, const Origin& origin) {
    if (name.empty()) return kNoType;
    if (origin.is_python()) return presentable(name);
    if (types_.size() >= kMostTypes && !types_.contains(name)) types_.clear();
    const auto [known, is_new] = types_.try_emplace(name);
    if (is_new) known->second = presentable(demangle_type(name));
    return known->second;
  }

  const SharedPool& pool_;
  const std::uint64_t process_;
  const pid_t pid_;
  absl::flat_hash_map<std::string, std::string> types_;  // by mangled name
  absl::flat_hash_set<std::string> messages_;            // of this window
  absl::node_hash_map<pid_t, HeldBack> last_;            // by thread
  std::uint64_t known_ = 0;                              // thrown, and in a profile
  std::uint64_t thrown_before_ = 0;                      // as of the last account()
};

}  // namespace

std::unique_ptr<Intake> make_errors_intake(const IntakeSources& sources) {
  return std::make_unique<ErrorsIntake>(sources);
}

}  // namespace siprof::client
