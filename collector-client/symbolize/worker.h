// SPDX-License-Identifier: Apache-2.0
// The symbol worker: a process that reads the profiled programs' symbols and debug information so
// that a damaged or hostile file can only take down this process. Started by WorkerClient.
#pragma once

#include <cstdint>

namespace siprof::client {

// argv[1] that makes main() call symbol_worker_main() before anything else.
inline constexpr char kWorkerArgument[] = "symbolize-worker";

// Serves requests on descriptor 0 until its end; argv[2] is the limit of private memory in
// bytes. Returns the process's exit status.
int symbol_worker_main(int argc, char** argv);

}  // namespace siprof::client
