// SPDX-License-Identifier: Apache-2.0
// See report.h.
#include "test/oracle/report.h"

#include "absl/strings/str_cat.h"

namespace siprof::oracle {
namespace {

std::size_t column_of(Verdict verdict, shim::WalkEnd end) {
  switch (verdict) {
    case Verdict::kEqual:
      return 0;
    case Verdict::kBothStop:
      return 1;
    case Verdict::kFurther:
      return 2;
    case Verdict::kTruncated:
      return 2 + static_cast<std::size_t>(end);
    case Verdict::kWrong:
      break;
  }
  return 7;
}

std::string path_of(const client::Module* module) {
  return module != nullptr ? module->path : "[anonymous]";
}

std::string name_of(const ProcessView& view, std::uint64_t address) {
  const client::CodeAddress place = view.modules().locate(address);
  const std::string path = path_of(place.module);
  return absl::StrCat(path.substr(path.rfind('/') + 1), "+", absl::Hex(place.address));
}

std::string both_walks(const ProcessView& view, std::span<const std::uint64_t> ours, const OracleWalk& theirs,
                       std::size_t frame) {
  std::string text = "; ours";
  for (std::size_t i = 0; i < std::min(ours.size(), frame + 3); ++i)
    absl::StrAppend(&text, " ", name_of(view, ours[i]));
  absl::StrAppend(&text, "; libunwind");
  for (std::size_t i = 0; i < std::min(theirs.addresses.size(), frame + 3); ++i)
    absl::StrAppend(&text, " ", name_of(view, theirs.addresses[i]));
  if (frame >= theirs.frames.size()) return text;
  absl::StrAppend(&text, "; registers there");
  for (const std::uint64_t value : theirs.frames[frame]) absl::StrAppend(&text, " ", absl::Hex(value));
  return text;
}

}  // namespace

void Report::add(const ProcessView& view, const shim::CodeView& code, const shim::WalkResult& result,
                 std::span<const std::uint64_t> ours, const OracleWalk& theirs) {
  const Judgement judgement = judge(view, result, ours, theirs);
  const std::size_t column = column_of(judgement.verdict, result.end);
  ++modules_[path_of(view.modules().locate(ours[0]).module)][column];
  if (judgement.verdict == Verdict::kEqual) return;
  const std::uint64_t address = ours[judgement.frame];
  Place& place = places_[{column, name_of(view, address)}];
  if (++place.count > 1) return;
  place.detail = rule_at(code, address);
  if (judgement.verdict == Verdict::kWrong) place.detail += both_walks(view, ours, theirs, judgement.frame);
}

void Report::write(std::ostream& out) const {
  for (const auto& [path, counts] : modules_) {
    out << "module\t" << path;
    for (const std::uint64_t count : counts) out << '\t' << count;
    out << '\n';
  }
  for (const auto& [key, place] : places_)
    out << "place\t" << kColumns[key.first] << '\t' << key.second << '\t' << place.count << '\t'
        << place.detail << '\n';
}

}  // namespace siprof::oracle
