// SPDX-License-Identifier: Apache-2.0
// What an agent says of itself to `siprof ps`: JSON.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "collector-client/agent/session.h"
#include "collector-client/export/exporter.h"

namespace siprof::client {

std::string status_text(const std::vector<std::unique_ptr<Session>>& sessions, const TableBuilder& tables,
                        const Exporter& exporter, std::uint64_t attached, std::uint64_t refused);

}  // namespace siprof::client
