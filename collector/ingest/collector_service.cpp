// SPDX-License-Identifier: Apache-2.0
#include "collector/ingest/collector_service.h"

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "collector/ingest/status_text.h"
#include "collector/ingest/stream_set.h"
#include "spdlog/spdlog.h"

namespace siprof::collector {
namespace {

constexpr absl::string_view kScheme = "bearer ";

// Says no and is gone.
class Refusal final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  explicit Refusal(const grpc::Status& status) { Finish(status); }
  void OnDone() override { delete this; }
};

absl::StatusOr<std::string> presented_token(const grpc::CallbackServerContext& call) {
  const auto [first, last] = call.client_metadata().equal_range("authorization");
  if (first == last)
    return absl::UnauthenticatedError("a token is needed: give the agent --token or SIPROF_TOKEN");
  const absl::string_view value(first->second.data(), first->second.size());
  if (std::next(first) != last || !absl::StartsWithIgnoreCase(value, kScheme)) {
    return absl::UnauthenticatedError("write one metadata entry authorization: Bearer TOKEN");
  }
  return std::string(value.substr(kScheme.size()));
}

absl::StatusOr<std::string> authenticate(const grpc::CallbackServerContext& call,
                                         const Reloadable<TokenSet>& tokens) {
  if (!tokens.has_file()) return "";
  auto token = presented_token(call);
  if (token.ok() && !tokens.get()->contains(*token)) {
    return absl::UnauthenticatedError("this collector doesn't know the agent's token");
  }
  return token;
}

}  // namespace

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* CollectorService::Connect(
    grpc::CallbackServerContext* call) {
  auto token = authenticate(*call, context_.tokens);
  if (!token.ok()) {
    context_.metrics.stream_refused("unauthenticated");
    spdlog::info("stream of {} refused: {}", call->peer(), text_of(token.status()));
    return new Refusal({grpc::StatusCode::UNAUTHENTICATED, text_of(token.status())});
  }
  const auto stream = std::make_shared<AgentStream>(call, context_, *std::move(token));
  if (!context_.streams.add(stream)) {
    context_.metrics.stream_refused("too_many");
    return new Refusal({grpc::StatusCode::RESOURCE_EXHAUSTED,
                        absl::StrCat("this collector serves ", context_.options.max_streams,
                                     " agents at most, or is about to stop: try again later")});
  }
  stream->start();
  return stream.get();
}

}  // namespace siprof::collector
