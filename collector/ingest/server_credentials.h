// SPDX-License-Identifier: Apache-2.0
// TLS of the gRPC port: plaintext, TLS, or TLS with client certificates.
#pragma once

#include <grpcpp/security/server_credentials.h>

#include <memory>

#include "absl/status/statusor.h"
#include "collector/ingest/ingest_options.h"

namespace siprof::collector {

// Certificates are reread within a minute of a change, so renewing them needs no restart.
// Errors: FAILED_PRECONDITION, one line naming the option and file at fault.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> server_credentials(const IngestOptions& options);

}  // namespace siprof::collector
