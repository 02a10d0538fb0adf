// SPDX-License-Identifier: Apache-2.0
// Feeds the pprof reader with damaged profiles: `pprof_reader_fuzz [--runs N] [--seed N]`.
// Whatever comes in, the reader must return, and what it accepts must be safe to
// index without looking: that is walked here on its own. Run under ASan+UBSan for the
// rest. A failure prints the seed and the run that repeat it.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>

#include "absl/strings/numbers.h"
#include "collector/ingest/pprof_reader.h"
#include "collector/ingest/utf8.h"
#include "test/collector/ingest_sample.h"

namespace siprof::collector {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using perftools::profiles::Profile;

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}
  std::size_t below(std::size_t end) { return static_cast<std::size_t>(engine_() % end); }
  bool one_in(std::size_t n) { return below(n) == 0; }
  // Mostly near what is valid, sometimes at the edges of the type.
  std::int64_t number() {
    constexpr std::int64_t kEdges[] = {-1, INT64_MIN, INT64_MAX, INT32_MAX, std::int64_t{1} << 32, 1'000'000};
    return one_in(4) ? kEdges[below(std::size(kEdges))] : static_cast<std::int64_t>(below(20));
  }

 private:
  std::mt19937_64 engine_;
};

void set_number(Message& message, const FieldDescriptor& field, int index, Dice& dice) {
  const auto* reflection = message.GetReflection();
  const std::int64_t value = dice.number();
  const bool repeated = field.is_repeated();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT64:
      return repeated ? reflection->SetRepeatedInt64(&message, &field, index, value)
                      : reflection->SetInt64(&message, &field, value);
    case FieldDescriptor::CPPTYPE_UINT64:
      return repeated
                 ? reflection->SetRepeatedUInt64(&message, &field, index, static_cast<std::uint64_t>(value))
                 : reflection->SetUInt64(&message, &field, static_cast<std::uint64_t>(value));
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection->SetRepeatedString(&message, &field, index, std::string(dice.below(1'100), 'n'));
    default:
      return;
  }
}

// One random field of the message, or of one below it, changed, doubled or removed.
void mutate_message(Message& message, Dice& dice) {
  const auto& descriptor = *message.GetDescriptor();
  const auto* reflection = message.GetReflection();
  const FieldDescriptor& field =
      *descriptor.field(static_cast<int>(dice.below(static_cast<std::size_t>(descriptor.field_count()))));
  if (!field.is_repeated()) {
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE)
      return mutate_message(*reflection->MutableMessage(&message, &field), dice);
    return set_number(message, field, 0, dice);
  }
  const int size = reflection->FieldSize(message, &field);
  if (size == 0) return;
  if (dice.one_in(8)) return reflection->RemoveLast(&message, &field);
  const int index = static_cast<int>(dice.below(static_cast<std::size_t>(size)));
  if (field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) return set_number(message, field, index, dice);
  if (dice.one_in(8)) {
    const std::string copy = reflection->GetRepeatedMessage(message, &field, index).SerializeAsString();
    reflection->AddMessage(&message, &field)->ParseFromString(copy);
    return;
  }
  mutate_message(*reflection->MutableRepeatedMessage(&message, &field, index), dice);
}

void mutate_bytes(std::string& bytes, Dice& dice) {
  if (bytes.empty()) return;
  const std::size_t at = dice.below(bytes.size());
  switch (dice.below(5)) {
    case 0:
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << dice.below(8)));
      break;
    case 1:
      bytes[at] = static_cast<char>(dice.below(256));
      break;
    case 2:
      bytes.erase(at, 1 + dice.below(16));
      break;
    case 3:
      bytes.insert(at, bytes.substr(dice.below(bytes.size()), 1 + dice.below(32)));
      break;
    default:
      bytes.resize(at);
  }
}

struct Inputs {
  Profile profile = sample_pprof();
  std::string raw = profile.SerializeAsString();
  std::string packed = gzip(raw);
};

std::string damaged(const Inputs& inputs, Dice& dice) {
  const std::size_t way = dice.below(8);
  if (way < 4) {
    Profile profile = inputs.profile;
    for (std::size_t i = dice.below(3) + 1; i > 0; --i) mutate_message(profile, dice);
    std::string bytes = profile.SerializeAsString();
    if (way == 0) mutate_bytes(bytes, dice);
    return way == 1 ? gzip(bytes) : bytes;
  }
  std::string bytes = way < 7 ? inputs.raw : inputs.packed;
  for (std::size_t i = dice.below(4) + 1; i > 0; --i) mutate_bytes(bytes, dice);
  return bytes;
}

bool is_string(const Profile& profile, std::int64_t index) {
  return index >= 0 && index < profile.string_table_size();
}

template <typename Entries>
bool ids_count_up(const Entries& entries) {
  std::uint64_t next = 1;
  for (const auto& entry : entries) {
    if (entry.id() != next++) return false;
  }
  return true;
}

bool safe_locations(const Profile& profile) {
  for (const auto& location : profile.location()) {
    if (location.mapping_id() > static_cast<std::uint64_t>(profile.mapping_size())) return false;
    for (const auto& line : location.line()) {
      if (line.function_id() - 1 >= static_cast<std::uint64_t>(profile.function_size())) return false;
    }
  }
  for (const auto& function : profile.function()) {
    if (!is_string(profile, function.name()) || !is_string(profile, function.system_name()) ||
        !is_string(profile, function.filename()))
      return false;
  }
  return true;
}

bool safe_samples(const Profile& profile) {
  for (const auto& sample : profile.sample()) {
    if (sample.value_size() != profile.sample_type_size()) return false;
    for (const std::int64_t value : sample.value()) {
      if (value < 0) return false;
    }
    for (const std::uint64_t id : sample.location_id()) {
      if (id - 1 >= static_cast<std::uint64_t>(profile.location_size())) return false;
    }
    for (const auto& label : sample.label()) {
      if (label.key() == 0 || !is_string(profile, label.key()) || !is_string(profile, label.str()))
        return false;
    }
  }
  return true;
}

bool safe_to_index(const Profile& profile) {
  if (profile.string_table_size() == 0 || !profile.string_table(0).empty()) return false;
  for (const std::string& text : profile.string_table()) {
    if (!is_utf8(text)) return false;
  }
  for (const std::int64_t comment : profile.comment()) {
    if (!is_string(profile, comment)) return false;
  }
  return ids_count_up(profile.mapping()) && ids_count_up(profile.function()) &&
         ids_count_up(profile.location()) && safe_locations(profile) && safe_samples(profile);
}

int fuzz(std::uint64_t runs, std::uint64_t seed) {
  const Inputs inputs;
  const absl::Time now = absl::Now();
  Dice dice(seed);
  std::uint64_t accepted = 0;
  for (std::uint64_t run = 0; run < runs; ++run) {
    const auto profile = read_pprof(damaged(inputs, dice), {}, now);
    accepted += profile.ok();
    const bool good = profile.ok() ? safe_to_index(*profile) : !profile.status().message().empty();
    if (good) continue;
    std::fprintf(stderr, "wrong at run %lu of --seed %lu\n", run, seed);
    return 1;
  }
  std::printf("%lu runs: %lu accepted, %lu refused\n", runs, accepted, runs - accepted);
  // Neither side of the reader may go untested.
  return accepted > runs / 1'000 && accepted < runs - runs / 1'000 ? 0 : 1;
}

std::uint64_t option(int count, char** arguments, const char* name, std::uint64_t otherwise) {
  std::uint64_t value = otherwise;
  for (int i = 1; i + 1 < count; ++i) {
    if (std::strcmp(arguments[i], name) == 0 && !absl::SimpleAtoi(arguments[i + 1], &value)) std::exit(2);
  }
  return value;
}

}  // namespace
}  // namespace siprof::collector

int main(int count, char** arguments) {
  using siprof::collector::option;
  return siprof::collector::fuzz(option(count, arguments, "--runs", 150'000),
                                 option(count, arguments, "--seed", 1));
}
