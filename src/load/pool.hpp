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
  std::uint64_t reused = 0;          // requests on a connection that had carried one before
  std::uint64_t closed_as_told = 0;  // by the client, because the answer said `Connection: close`
  std::uint64_t idle_closed = 0;     // by the server, with an end of file and no request on it: no failure
  std::uint64_t idle_reset = 0;      // by the server, with a reset and no request on it
  // Bytes that nobody asked for, on an idle connection: they belong to no attempt, but make the run fail.
  std::uint64_t idle_garbage = 0;
  std::uint64_t most_open = 0;
};

// The connections, and which of them are free. Until `wanted` are open every request opens one, so that a
// refusal always belongs to a request; then the one that has been idle longest is taken, so that all are used
// in turns; when all are busy further ones are opened, up to `most`, and closed when nobody waits.
class Pool {
 public:
  using Id = std::uint64_t;
  using MakeReader = std::function<std::unique_ptr<AnswerReader>()>;

  struct Limits {
    bool keep_alive = false;
    std::size_t wanted = 0;
    std::size_t most = 1;
    bool ends_after_request = false;  // what Connection does with it
  };

  // Registers connections with the `epoll` descriptor, their id as the data; ids start at `first_id`.
  Pool(int epoll, Id first_id, Dialer dialer, MakeReader make_reader, Limits limits)
      : epoll_(epoll),
        next_id_(first_id),
        dialer_(dialer),
        make_reader_(std::move(make_reader)),
        limits_(limits) {}

  // A connection to start a request on: idle, or new. `id` is 0 when none could be had: `error` is an errno
  // value then, or 0 when as many as are allowed are busy.
  struct Picked {
    Id id = 0;
    int error = 0;
  };
  Picked pick();

  // The connection, borrowed until it is dropped or given back; null when there is none of that id any more.
  Connection* find(Id id);

  // Has epoll wait for what the connection wants now. An errno value when it cannot.
  int watch(Id id);

  // After an answer: keeps the connection for another request when `sound` and the server and the limits
  // allow it. One beyond the wanted number is kept when it is `needed` at once: to close it only to open
  // another costs most when there is a queue, and would keep the queue from getting shorter.
  void give_back(Id id, bool sound, bool needed);

  // Something has happened to an idle connection.
  void on_idle_event(Id id);

  void drop(Id id) { entries_.erase(id); }

  const ConnectionCounts& counts() const { return counts_; }

 private:
  struct Entry {
    Connection connection;
    std::uint32_t watched = 0;  // epoll events; 0 before the first time
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
