// SPDX-License-Identifier: Apache-2.0
// C++ exceptions: where each was thrown.
#include <algorithm>
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
constexpr std::size_t kMostThreads = 1024;       // whose last one is held back
constexpr std::size_t kMostMessages = 500;       // different ones in a window
constexpr char kNoType[] = "(unknown)";
constexpr char kOtherMessage[] = "(other messages)";

class ErrorsIntake : public Intake {
 public:
  explicit ErrorsIntake(const IntakeSources& sources)
      : pool_(sources.pool), process_(sources.process), pid_(sources.pid) {}

  Kind kind() const override { return Kind::kErrors; }

  void take(const RawSample& record, SampleView sample, IntakeOutput& out) override {
    const EventHead& head = record.record.head;
    if (head.values[kErrorUnhandled] != 0) return take_unhandled(sample.thread_id, out);
    const std::uint64_t weight = std::clamp<std::uint64_t>(head.values[kErrorThrown], 1, kMostThrown);
    known_ += weight;
    if (last_.size() >= kMostThreads) release_all(out);
    Throw& last = last_[sample.thread_id];
    release(last, out);
    last.stack.assign(sample.stack.begin(), sample.stack.end());
    last.sample = sample;
    last.thread_name = sample.thread_name;
    // The type's mangled name, and after a zero the message.
    const std::size_t end = std::min(record.extra.find('\0'), record.extra.size());
    last.type = type_of(record.extra.substr(0, end));
    last.message = end < record.extra.size() ? message_of(record.extra.substr(end + 1)) : "";
    last.weight = static_cast<std::int64_t>(weight);
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
  // The last one of a thread, which isn't added before it is known whether somebody catches it.
  struct Throw {
    Stack stack;
    SampleView sample;  // but for the stack and the names
    std::string thread_name;
    std::string type;
    std::string message;      // empty: not asked for, or there is none
    std::int64_t weight = 0;  // 0: none
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
    for (auto& [thread, thrown] : last_) release(thrown, out);
    last_.clear();
  }

  void take_unhandled(pid_t thread, IntakeOutput& out) {
    out.count("throws_unhandled", 1);
    const auto last = last_.find(thread);
    if (last == last_.end() || last->second.weight == 0) return;  // it is in the window before
    add(last->second, 1, "false", out);
    --last->second.weight;
    release(last->second, out);
  }

  std::uint64_t thrown() const { return pool_.counters()[static_cast<std::size_t>(Counter::throws)]; }

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

  const std::string& type_of(const std::string& mangled) {
    if (types_.size() >= kMostTypes && !types_.contains(mangled)) types_.clear();
    const auto [known, is_new] = types_.try_emplace(mangled);
    if (is_new) known->second = mangled.empty() ? kNoType : presentable(demangle_type(mangled));
    return known->second;
  }

  const SharedPool& pool_;
  const std::uint64_t process_;
  const pid_t pid_;
  absl::flat_hash_map<std::string, std::string> types_;  // by mangled name
  absl::flat_hash_set<std::string> messages_;            // of this window
  absl::node_hash_map<pid_t, Throw> last_;               // by thread
  std::uint64_t known_ = 0;                              // thrown, and in a profile
  std::uint64_t thrown_before_ = 0;                      // as of the last account()
};

}  // namespace

std::unique_ptr<Intake> make_errors_intake(const IntakeSources& sources) {
  return std::make_unique<ErrorsIntake>(sources);
}

}  // namespace siprof::client
