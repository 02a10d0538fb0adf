// SPDX-License-Identifier: Apache-2.0
// Puts answers, errors and the dashboard's files into the HTTP library's
// responses, compressed for who takes gzip. Called by HttpServer's threads.
#pragma once

#include <httplib.h>

#include <string>

#include "absl/status/status.h"
#include "collector/http/answer.h"
#include "collector/web/assets.h"

namespace siprof::collector {

void set_error(httplib::Response& response, const absl::Status& status);

// Error answers that the HTTP library makes itself: gives them the contract's form.
void set_library_error(httplib::Response& response);

void send_answer(Answer answer, const httplib::Request& request, httplib::Response& response);

// Null unless `path` is exactly an asset's.
const Asset* find_asset(const std::string& path);
void send_asset(const Asset& asset, const httplib::Request& request, httplib::Response& response);

}  // namespace siprof::collector
