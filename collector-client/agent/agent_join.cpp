// SPDX-License-Identifier: Apache-2.0
// Who comes to the agent: processes that attach, and `siprof ps`. The agent's loop calls it.
#include <spdlog/spdlog.h>
#include <string.h>
#include <unistd.h>

#include "collector-client/agent/agent.h"
#include "collector-client/agent/status.h"

namespace siprof::client {
namespace {

constexpr absl::Duration kMessageWait = absl::Seconds(2);
constexpr std::size_t kMostSessions = 8192;
constexpr std::size_t kMostSecrets = 100'000;

std::string secret_of(const AttachMessage& message) {
  return {reinterpret_cast<const char*>(message.secret), kSecretBytes};
}

}  // namespace

void Agent::accept_all() {
  for (const UniqueFd& socket : listener_.sockets()) {
    while (std::optional<Connection> connection = Listener::accept(socket.get())) {
      waiting_.push_back({*std::move(connection), steady_now() + kMessageWait});
    }
  }
  for (std::size_t i = 0; i < waiting_.size();) {
    bool done = steady_now() > waiting_[i].until;
    if (!done) hear(waiting_[i], &done);
    if (!done) {
      ++i;
      continue;
    }
    waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

void Agent::hear(Waiting& waiting, bool* done) {
  absl::StatusOr<RawMessage> message = receive_message(waiting.connection.fd.get());
  if (!message.ok()) {
    *done = !absl::IsUnavailable(message.status());  // that one: nothing has come yet
    if (*done) spdlog::warn("a process could not attach: {}", message.status().ToString());
    return;
  }
  *done = true;
  if (message->bytes.empty()) return;
  StatusRequest request{};
  if (message->bytes.size() == sizeof(request)) {
    memcpy(&request, message->bytes.data(), sizeof(request));
    if (request.magic == kStatusMagic) return answer_status(std::move(waiting.connection));
  }
  attach(*std::move(message), waiting.connection.peer);
}

bool Agent::is_trusted(const Peer& peer) const {
  return settings_.open_to_others || peer.uid == geteuid() || peer.uid == 0;
}

bool Agent::may_join(const AttachRequest& request, const Peer& peer) const {
  return is_trusted(peer) || secrets_.contains(secret_of(request.message));
}

void Agent::attach(RawMessage raw, const Peer& peer) {
  absl::StatusOr<AttachRequest> request = parse_attach(std::move(raw));
  if (request.ok() && !may_join(*request, peer)) {
    request = absl::PermissionDeniedError("user " + std::to_string(peer.uid) + " may not join this agent");
  }
  const std::string secret = request.ok() ? secret_of(request->message) : "";
  const Workshop workshop{modules_, unwinder_, aggregator_, clock_};
  auto session = request.ok() ? Session::begin(*std::move(request), workshop, settings_.run_id)
                              : absl::StatusOr<std::unique_ptr<Session>>(request.status());
  if (!session.ok()) {
    ++refused_;
    spdlog::warn("process {} could not attach: {}", peer.pid, session.status().ToString());
    return;
  }
  // A process attaches again after an exec or when it thought the agent dead: what it
  // wrote before is read to its end.
  bool known = false;
  for (std::size_t i = sessions_.size(); i-- > 0;) {
    if (!sessions_[i]->view().same_process((*session)->view())) continue;
    (*session)->take_over_mappings(*sessions_[i]);
    known = true;
    end_session(i);
  }
  if (!known) (*session)->count_lost_agent();
  if (sessions_.size() >= kMostSessions) {
    ++refused_;
    spdlog::warn("process {} is not profiled: {} are already", peer.pid, kMostSessions);
    return;
  }
  for (const std::string& warning : (*session)->warnings())
    spdlog::warn("process {}: {}", (*session)->view().message().pid, warning);
  if (secrets_.size() >= kMostSecrets) secrets_.clear();
  // All zero: the process got no random bytes, and everybody knows these.
  if (secret != std::string(kSecretBytes, '\0')) secrets_.insert(secret);
  ++attached_;
  spdlog::info("process {} ({}) attached", (*session)->view().message().pid, (*session)->service());
  apply_to(**session);
  sessions_.push_back(*std::move(session));
}

// The abstract socket has no permissions: what others run is told to nobody else.
void Agent::answer_status(Connection connection) {
  if (!is_trusted(connection.peer)) return;
  replies_.add(std::move(connection.fd), status_text(sessions_, exporter_, attached_, refused_),
               steady_now());
}

}  // namespace siprof::client
