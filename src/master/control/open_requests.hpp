#pragma once

#include <map>
#include <memory>
#include <string>

#include "master/control/control_server.hpp"
#include "rollout/types.hpp"

namespace liveswap::master {

// The requests that have no answer yet, and the control server that sends the answers to the clients.
class OpenRequests {
 public:
  using Id = rollout::RequestId;
  struct Request {
    ConnectionId connection = 0;  // 0: no client waits for the answer
    protocol::Verb verb = protocol::Verb::status;
    bool detach = false;  // upgrade or rollback: the first event becomes the answer
    std::string asked;    // upgrade or rollback: the requested path or release
    std::string by;       // the client, signal or rule that asked
    rollout::Time since{0};
  };

  void serve(std::unique_ptr<ControlServer> server) { server_ = std::move(server); }
  const ControlServer* server() const { return server_.get(); }

  // The number of the last request, for the next image of the program; there, open() goes on behind it.
  Id last() const { return last_; }
  void resume_after(Id last) { last_ = last; }
  // A request of the former master, whose client has lost the connection.
  void adopt(Id id, Request request) { open_.emplace(id, std::move(request)); }
  // Every open request.
  const std::map<Id, Request>& all() const { return open_; }
  // Whether a client waits for another request than this one.
  bool has_others(Id but) const;
  // Refuses every open request but this one.
  void refuse_others(Id but, const std::string& text);

  // Stores the request and returns its number, from 1 on.
  Id open(Request request);
  // nullptr: the request has been answered.
  Request* find(Id id);
  const Request* find(Id id) const { return const_cast<OpenRequests*>(this)->find(id); }

  // Each of these functions answers and forgets the request. Does nothing if the request has been answered.
  void answer(Id id, const std::string& line);
  void answer(Id id, spawn::ReceivedFd file, std::size_t size, std::shared_ptr<const void> held);
  void refuse(Id id, protocol::Refusal refusal, const std::string& text);
  // Call if an exception has interrupted the request. Sends the client a fixed error line, and forgets the
  // request.
  void give_up(Id id) { give_up(id, find(id) ? find(id)->connection : 0); }
  void give_up(Id id, ConnectionId from);

  // Sends an event to the client. If the client asked to detach, sends the final answer "under way" instead,
  // and nothing more.
  void event(Id id, const std::string& line);

 private:
  ControlConnection* connection_of(Id id) const;

  std::unique_ptr<ControlServer> server_;
  std::map<Id, Request> open_;
  Id last_ = 0;
};

// The protocol's word for a verdict other than `ok`.
protocol::Refusal refusal_of(rollout::Verdict verdict);

}  // namespace liveswap::master
