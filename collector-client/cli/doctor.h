// SPDX-License-Identifier: Apache-2.0
// `siprof doctor CMD`: says why CMD would not be profiled, by looking at its
// file and the environment; CMD isn't run.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "collector-client/base/resource.h"

namespace siprof::client {

struct Diagnosis {
  std::vector<std::string> obstacles;  // any of them: not profiled
  std::vector<std::string> notes;      // worth knowing
  std::string program;                 // the executable that would run in the end
};

struct DoctorFacts {
  Environment environment;
  unsigned user_id = 0;
  unsigned group_id = 0;
  absl::StatusOr<std::string> shim;  // its path, or why there is none
};

Diagnosis examine(const std::string& command, const DoctorFacts& facts);

int run_doctor(int argc, char** argv);

}  // namespace siprof::client
