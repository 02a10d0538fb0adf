// SPDX-License-Identifier: Apache-2.0
// Names the addresses of a window and splits it into profiles within limits.
#include "collector-client/pprof/profile_builder.h"

#include <memory>
#include <utility>

#include "absl/container/node_hash_map.h"
#include "absl/strings/str_cat.h"
#include "collector-client/base/gzip.h"
#include "collector-client/base/presentable.h"
#include "collector-client/pprof/counters.h"
#include "collector-client/pprof/profile_writer.h"

namespace siprof::client {
namespace {

using perftools::profiles::Profile;

constexpr std::size_t kMaxUnpackedBytes = 256u << 20;

// Every distinct address of the window is asked for once. Node-based: the
// writers keep pointers to the frames.
class Names {
 public:
  Names(FrameSource& source, const OwnFrame& is_own) : source_(source), is_own_(is_own) {}

  // The stack with siprof's own frames left out.
  void name(const Stack& stack, std::uint64_t process, std::vector<NamedPlace>* out) {
    out->clear();
    for (const CodeAddress& code : stack) {
      const Place place{code, code.module == nullptr ? process : 0};
      const Entry& entry = look_up(place, process);
      if (!entry.own) out->push_back({place, &entry.frames});
    }
  }

  std::uint64_t unnamed() const { return unnamed_; }

 private:
  struct Entry {
    bool own = false;
    std::vector<SourceFrame> frames;
  };

  const Entry& look_up(const Place& place, std::uint64_t process) {
    auto [found, is_new] = entries_.try_emplace(place);
    Entry& entry = found->second;
    if (!is_new) return entry;
    entry.own = is_own_ && is_own_(place.code);
    if (!entry.own) entry.frames = source_.frames(place.code, process);
    for (SourceFrame& frame : entry.frames) {
      frame.name = presentable(frame.name);
      frame.system_name = presentable(frame.system_name);
      frame.file = presentable(frame.file);
    }
    if (entry.own || !entry.frames.empty()) return entry;
    ++unnamed_;
    // Of a file the address is enough: who has its symbols names it later. Of other code
    // nobody ever can.
    if (place.code.module == nullptr) entry.frames = {{"[anon]", "[anon]", "", 0, 0}};
    return entry;
  }

  FrameSource& source_;
  const OwnFrame& is_own_;
  absl::node_hash_map<Place, Entry> entries_;
  std::uint64_t unnamed_ = 0;
};

// Names leaf first, joined by ';', as many as fit into a label.
std::string joined_names(const std::vector<NamedPlace>& stack) {
  std::string text;
  const auto append = [&text](std::string_view name) {
    if (text.size() + 1 + name.size() > kMaxNameBytes) return false;
    if (!text.empty()) text += ';';
    text += name;
    return true;
  };
  for (const NamedPlace& named : stack) {
    if (named.frames->empty()) {
      const Module* module = named.place.code.module;
      const std::string file = module != nullptr ? module->path.substr(module->path.rfind('/') + 1) : "";
      if (!append(absl::StrCat(file, "+0x", absl::Hex(named.place.code.address)))) return text;
    }
    for (const SourceFrame& frame : *named.frames) {
      if (!append(frame.name)) return text;
    }
  }
  return text;
}

void set_times(const Window& window, const BuildOptions& options, Profile* profile) {
  profile->set_time_nanos(absl::ToUnixNanos(window.start));
  profile->set_duration_nanos(absl::ToInt64Nanoseconds(window.duration));
  profile->set_period(options.period);
}

// Starts the next profile where a limit would be passed.
class Splitter {
 public:
  Splitter(const Window& window, const BuildOptions& options)
      : window_(window), options_(options), kind_(kind_info(window.kind)) {
    // The first profile gets its comments at the end, when they are known.
    const std::size_t comments = window.counters.size() * kCommentBytes + kCommentBytes;
    room_ = options.max_bytes > comments ? options.max_bytes - comments : 0;
    start();
  }

  void add(const std::vector<NamedPlace>& stack, const WindowSample& sample) {
    const ProfileWriter& current = *writers_.back();
    const bool is_full = current.samples() >= options_.max_samples ||
                         current.bytes() + current.cost(stack, sample) > room_ || passes_a_total(sample);
    if (is_full && current.samples() > 0) {
      room_ = options_.max_bytes;
      start();
    }
    for (std::size_t i = 0; i < totals_.size(); ++i) totals_[i] += sample.values[i];
    writers_.back()->add_sample(stack, sample, kind_.types.size());
  }

  std::vector<Profile> finish() {
    for (const auto& [name, value] : window_.counters) {
      writers_.front()->add_comment(counter_comment(name, value));
    }
    std::vector<Profile> profiles;
    for (auto& writer : writers_) profiles.push_back(writer->take());
    return profiles;
  }

 private:
  static constexpr std::size_t kCommentBytes = 128;

  bool passes_a_total(const WindowSample& sample) const {
    for (std::size_t i = 0; i < totals_.size(); ++i)
      if (sample.values[i] > kMostTotal - totals_[i]) return true;
    return false;
  }

  void start() {
    totals_ = {};
    writers_.push_back(std::make_unique<ProfileWriter>(kind_, window_.series->main_executable));
    set_times(window_, options_, writers_.back()->profile());
  }

  const Window& window_;
  const BuildOptions& options_;
  const KindInfo& kind_;
  std::size_t room_ = 0;
  Values totals_{};
  std::vector<std::unique_ptr<ProfileWriter>> writers_;
};

}  // namespace

std::vector<Profile> build_profiles(Window& window, FrameSource& frames, const BuildOptions& options) {
  Names names(frames, options.is_own);
  Splitter splitter(window, options);
  std::vector<NamedPlace> stack;
  for (WindowSample& sample : window.samples) {
    if (sample.holder != nullptr) {
      names.name(*sample.holder, sample.process, &stack);
      if (std::string holder = joined_names(stack); !holder.empty())
        sample.labels.push_back({"holder", std::move(holder), 0});
    }
    names.name(*sample.stack, sample.process, &stack);
    splitter.add(stack, sample);
  }
  if (names.unnamed() > 0) window.counters["unsymbolized"] += names.unnamed();
  return splitter.finish();
}

absl::StatusOr<std::string> pack_profile(const Profile& profile) {
  std::string bytes;
  if (!profile.SerializeToString(&bytes)) return absl::InternalError("profile cannot be serialized");
  return gzip(bytes);
}

absl::StatusOr<Profile> unpack_profile(std::string_view bytes) {
  Profile profile;
  if (!bytes.starts_with("\x1f\x8b")) {
    if (!profile.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
      return absl::InvalidArgumentError("not a pprof profile");
    }
    return profile;
  }
  absl::StatusOr<std::string> plain = gunzip(bytes, kMaxUnpackedBytes);
  if (!plain.ok()) return plain.status();
  if (!profile.ParseFromString(*plain)) return absl::InvalidArgumentError("not a pprof profile");
  return profile;
}

}  // namespace siprof::client
