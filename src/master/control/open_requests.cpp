#include "master/control/open_requests.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

namespace liveswap::master {

OpenRequests::Id OpenRequests::open(Request request) {
  open_.emplace(++last_, std::move(request));
  return last_;
}

OpenRequests::Request* OpenRequests::find(Id id) {
  const auto it = open_.find(id);
  return it == open_.end() ? nullptr : &it->second;
}

// The connection of the waiting client; nullptr: none waits.
ControlConnection* OpenRequests::connection_of(Id id) const {
  const Request* request = find(id);
  return request && server_ ? server_->find(request->connection) : nullptr;
}

// Erases the request last, so that give_up() still finds it if sending the answer throws.
void OpenRequests::answer(Id id, const std::string& line) {
  if (auto* connection = connection_of(id)) connection->answer(line);
  open_.erase(id);
}

// Without memory for the answer, closes the connection.
void OpenRequests::answer(Id id, spawn::ReceivedFd file, std::size_t size, std::shared_ptr<const void> held) {
  auto* connection = connection_of(id);
  if (connection && !guarded([&] { connection->answer(std::move(file), size, std::move(held)); }))
    connection->cut();
  open_.erase(id);
}

void OpenRequests::refuse(Id id, protocol::Refusal refusal, const std::string& text) {
  if (const Request* request = find(id))
    answer(id, protocol::error_line(protocol::word(request->verb), refusal, text));
}

bool OpenRequests::has_others(Id but) const {
  return std::any_of(open_.begin(), open_.end(),
                     [but](const auto& one) { return one.first != but && one.second.connection != 0; });
}

// A client may send its next command within the call, and so on: a bounded number of times.
void OpenRequests::refuse_others(Id but, const std::string& text) {
  for (int i = 0; i < 16 && open_.size() > (find(but) ? 1U : 0U); ++i) {
    std::vector<Id> others;
    for (const auto& [id, request] : open_)
      if (id != but) others.push_back(id);
    for (const Id id : others) refuse(id, protocol::Refusal::failed, text);
  }
}

void OpenRequests::give_up(Id id, ConnectionId from) {
  if (auto* connection = server_ ? server_->find(from) : nullptr) connection->give_up();
  open_.erase(id);
}

void OpenRequests::event(Id id, const std::string& line) {
  auto* connection = connection_of(id);
  if (!connection) return;
  Request& request = *find(id);
  if (!std::exchange(request.detach, false)) return connection->event(line);
  request.connection = 0;
  connection->answer(protocol::ok_line(protocol::word(request.verb), {{"text", "under way"}}));
}

protocol::Refusal refusal_of(rollout::Verdict verdict) {
  switch (verdict) {
    case rollout::Verdict::ok:
    case rollout::Verdict::failed: return protocol::Refusal::failed;
    case rollout::Verdict::refused: return protocol::Refusal::refused;
    case rollout::Verdict::reverted: return protocol::Refusal::reverted;
    case rollout::Verdict::timed_out: return protocol::Refusal::timed_out;
    case rollout::Verdict::unreachable:
    case rollout::Verdict::cut: return protocol::Refusal::failed;
  }
  return protocol::Refusal::failed;
}

}  // namespace liveswap::master
