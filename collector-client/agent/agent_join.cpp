// SPDX-License-Identifier: Apache-2.0
// Who comes to the agent: processes that attach, and `siprof ps`. The agent's loop calls it.
#include <errno.h>
#include <spdlog/spdlog.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>

#include "collector-client/agent/agent.h"
#include "collector-client/agent/status.h"
#include "collector-client/base/descriptors.h"

namespace siprof::client {
namespace {

constexpr absl::Duration kMessageWait = absl::Seconds(2);
constexpr absl::Duration kStrangerWait = absl::Milliseconds(200);
constexpr absl::Duration kAcceptPause = absl::Milliseconds(500);
// Connections whose message hasn't come. The shim sends it at once.
constexpr std::size_t kMostWaiting = 256;
constexpr std::size_t kMostStrangers = 64;
constexpr std::size_t kMostOfOneUser = 16;
constexpr std::size_t kMostSessions = 8192;
constexpr std::size_t kMostSecrets = 100'000;

std::string secret_of(const AttachMessage& message) {
  return {reinterpret_cast<const char*>(message.secret), kSecretBytes};
}

}  // namespace

void Agent::accept_all() {
  for (const UniqueFd& socket : listener_.sockets()) accept_from(socket.get());
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

void Agent::accept_from(int socket_fd) {
  if (steady_now() < accept_again_) return;
  while (std::optional<Connection> connection = Listener::accept(socket_fd)) welcome(*std::move(connection));
  if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM) return;
  spdlog::warn("processes wait to attach: {}", strerror(errno));
  accept_again_ = steady_now() + kAcceptPause;
}

void Agent::welcome(Connection connection) {
  if (is_reserved_descriptor(connection.fd.get())) {
    ++refused_;
    spdlog::warn("process {} could not attach: the agent's limit on open files is reached",
                 connection.peer.pid);
    return;
  }
  const absl::Duration patience = is_trusted(connection.peer) ? kMessageWait : kStrangerWait;
  Waiting waiting{std::move(connection), steady_now() + patience};
  bool done = false;
  hear(waiting, &done);
  if (!done && has_room_for(waiting.connection.peer)) waiting_.push_back(std::move(waiting));
}

// Anybody can connect to the abstract socket, as often as he likes.
bool Agent::has_room_for(const Peer& peer) {
  const auto is_own = [](const Peer& one) { return one.uid == geteuid() || one.uid == 0; };
  if (!is_own(peer)) {
    std::size_t strangers = 0;
    std::size_t of_user = 0;
    for (const Waiting& waiting : waiting_) {
      strangers += !is_own(waiting.connection.peer);
      of_user += waiting.connection.peer.uid == peer.uid;
    }
    return strangers < kMostStrangers && of_user < kMostOfOneUser;
  }
  // Who has been silent for longest goes: the newcomer may be about to speak.
  if (waiting_.size() >= kMostWaiting) waiting_.erase(waiting_.begin());
  return true;
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
  const bool no_room = std::any_of(raw.descriptors.begin(), raw.descriptors.end(),
                                   [](const UniqueFd& fd) { return is_reserved_descriptor(fd.get()); });
  absl::StatusOr<AttachRequest> request = parse_attach(std::move(raw));
  if (no_room) request = absl::ResourceExhaustedError("the agent's limit on open files is reached");
  if (request.ok() && !may_join(*request, peer)) {
    request = absl::PermissionDeniedError("user " + std::to_string(peer.uid) + " may not join this agent");
  }
  const std::string secret = request.ok() ? secret_of(request->message) : "";
  const Workshop workshop{modules_,
                          unwinder_,
                          tables_,
                          aggregator_,
                          metrics_,
                          clock_,
                          {python_modules_, python_functions_},
                          settings_.native_frames};
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
  // Who waited in vain while we were busy has gone and asks again: his answer would keep us busy.
  if (!is_trusted(connection.peer) || has_hung_up(connection.fd.get())) return;
  replies_.add(std::move(connection.fd), status_text(sessions_, tables_, exporter_, attached_, refused_),
               steady_now());
}

}  // namespace siprof::client
