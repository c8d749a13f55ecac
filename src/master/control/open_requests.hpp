#pragma once

#include <map>
#include <memory>
#include <string>

#include "master/control/control_server.hpp"
#include "rollout/types.hpp"

namespace liveswap::master {

// The requests that are not answered yet, and the control server through which their clients are answered.
class OpenRequests {
 public:
  using Id = rollout::RequestId;
  struct Request {
    ConnectionId connection = 0;  // 0: no client waits for the answer
    protocol::Verb verb = protocol::Verb::status;
    bool detach = false;  // of an upgrade: answer when it is under way
    std::string asked;    // of an upgrade: its value
    std::string by;       // the client, signal or rule that asked
    rollout::Time since{0};
  };

  void serve(std::unique_ptr<ControlServer> server) { server_ = std::move(server); }
  const ControlServer* server() const { return server_.get(); }

  // Numbers count from 1.
  Id open(Request request);
  // nullptr: it has been answered.
  Request* find(Id id);
  const Request* find(Id id) const { return const_cast<OpenRequests*>(this)->find(id); }

  // Each ends the request. Nothing happens when it has been answered.
  void answer(Id id, const std::string& line);
  void answer(Id id, ReceivedFd file, std::size_t size, std::shared_ptr<const void> held);
  void refuse(Id id, protocol::Refusal refusal, const std::string& text);
  // An exception has cut it off: the client is told that no answer will come.
  void give_up(Id id) { give_up(id, connection_of(id)); }
  void give_up(Id id, ConnectionId connection);

  // Tells the client what happens; one that has asked to detach is answered instead, once.
  void event(Id id, const std::string& line);

 private:
  ConnectionId connection_of(Id id) const;

  std::unique_ptr<ControlServer> server_;
  std::map<Id, Request> open_;
  Id last_ = 0;
};

// The protocol's word for a verdict other than `ok`.
protocol::Refusal refusal_of(rollout::Verdict verdict);

}  // namespace liveswap::master
