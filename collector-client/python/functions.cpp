// SPDX-License-Identifier: Apache-2.0
// See functions.h.
#include "collector-client/python/functions.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace siprof::client {
namespace {

constexpr char kNoName[] = "[unknown Python function]";

}  // namespace

std::uint64_t PythonFunctions::intern(Function function) {
  const std::lock_guard lock(mutex_);
  if (const auto known = numbers_.find(function); known != numbers_.end()) {
    ++functions_[known->second].users;
    return known->second;
  }
  const auto shared = std::make_shared<const Function>(std::move(function));
  numbers_[shared] = ++last_number_;
  functions_[last_number_] = {shared, 1, ++clock_};
  return last_number_;
}

void PythonFunctions::retain(std::uint64_t function) {
  const std::lock_guard lock(mutex_);
  if (const auto found = functions_.find(function); found != functions_.end()) ++found->second.users;
}

void PythonFunctions::release(std::uint64_t function) {
  const std::lock_guard lock(mutex_);
  const auto found = functions_.find(function);
  if (found == functions_.end() || found->second.users == 0) return;
  --found->second.users;
  found->second.last_use = ++clock_;
}

void PythonFunctions::trim(std::uint64_t moment) {
  const std::lock_guard lock(mutex_);
  absl::erase_if(functions_, [&](const auto& known) {
    const Entry& entry = known.second;
    if (entry.users != 0 || entry.last_use > moment) return false;
    numbers_.erase(entry.function);
    return true;
  });
}

std::size_t PythonFunctions::size() const {
  const std::lock_guard lock(mutex_);
  return functions_.size();
}

SourceFrame PythonFunctions::frame(const CodeAddress& address) const {
  const std::lock_guard lock(mutex_);
  const auto found = functions_.find(function_of(address));
  if (found == functions_.end()) return {kNoName, kNoName, "", 0, 0};
  const Function& function = *found->second.function;
  return {function.name, function.own_name, function.file,
          static_cast<std::int64_t>(address.address & ((std::uint64_t{1} << kLineBits) - 1)),
          static_cast<std::int64_t>(function.first_line)};
}

CodeAddress PythonFunctions::address_of(std::uint64_t function, std::uint32_t line) {
  return {python_code(), function << kLineBits | (line < 1u << kLineBits ? line : 0)};
}

}  // namespace siprof::client
