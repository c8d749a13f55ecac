#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <unordered_map>

#include "load/connection.hpp"
#include "load/dialer.hpp"

namespace liveswap::load {

struct ConnectionCounts {
  std::uint64_t opened = 0;
  std::uint64_t reused = 0;          // requests on a connection used before
  std::uint64_t closed_as_told = 0;  // by the client, after `Connection: close`
  std::uint64_t idle_closed = 0;     // end of file from the server while idle: no failure
  std::uint64_t idle_reset = 0;      // reset by the server while idle
  // Unsolicited bytes on an idle connection: belong to no attempt, but make the run fail.
  std::uint64_t idle_garbage = 0;
  std::uint64_t most_open = 0;
};

// A pool of connections. As long as fewer than `wanted` are open, each request opens one, so that a refused
// connection always belongs to a request. Then the longest idle one is used, so that all take turns. If all
// are busy, up to `most` are opened, and closed when no request waits.
class Pool {
 public:
  using Id = std::uint64_t;
  using MakeReader = std::function<std::unique_ptr<AnswerReader>()>;

  struct Limits {
    bool keep_alive = false;
    std::size_t wanted = 0;
    std::size_t most = 1;
    bool ends_after_request = false;  // as for Connection
  };

  // Registers connections with `epoll` (borrowed); the data is their id, from `first_id` on.
  Pool(int epoll, Id first_id, Dialer dialer, MakeReader make_reader, Limits limits)
      : epoll_(epoll),
        next_id_(first_id),
        dialer_(dialer),
        make_reader_(std::move(make_reader)),
        limits_(limits) {}

  // A connection for a request, idle or new. `id` 0: none; `error` is then errno, or 0 if the maximum is
  // busy.
  struct Picked {
    Id id = 0;
    int error = 0;
  };
  Picked pick();

  // Borrowed until dropped or given back; null: no such id.
  Connection* find(Id id);

  // Updates the epoll events of the connection. Returns errno, 0 for success.
  int watch(Id id);

  // After an answer: keeps the connection if `sound` and the server and the limits permit. If `needed` for a
  // waiting request, keeps one above the wanted number too: reconnecting would slow down a client that is
  // already late.
  void give_back(Id id, bool sound, bool needed);

  // epoll reported an idle connection.
  void on_idle_event(Id id);

  void drop(Id id) { entries_.erase(id); }

  const ConnectionCounts& counts() const { return counts_; }

 private:
  struct Entry {
    Connection connection;
    std::uint32_t watched = 0;  // epoll events; 0: not registered
  };

  Id pick_idle();
  bool dismiss_unless_quiet(Id id);

  int epoll_;
  Id next_id_;
  Dialer dialer_;
  MakeReader make_reader_;
  Limits limits_;
  std::unordered_map<Id, Entry> entries_;
  std::deque<Id> idle_;
  ConnectionCounts counts_;
};

}  // namespace liveswap::load
