#pragma once

#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "master/preparation/task.hpp"
#include "master/uv/loop.hpp"
#include "spawn/received_fd.hpp"

namespace liveswap::master {

// Runs commands of liveswap-store, each in a process of its own: receipts may be many, large, on a hanging
// disk, or written by other users. At most `at_once` run; the others wait in order.
class Reader {
 public:
  // Held while a question occupies one of the `at_once` places.
  using Place = std::shared_ptr<const void>;
  struct Reply {
    Task::Result result;  // `late` also if the limit passed in the queue
    ReceivedFd document;  // came with the answer
    Place place;          // may be kept until the document has been sent
  };
  using Done = std::function<void(Reply&)>;

  // `store`: liveswap-store; borrowed. `limit`: from ask() to the answer.
  Reader(uv_loop_t& loop, const SpawnRequest& store, std::size_t at_once, Milliseconds limit);
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader();

  // `words`: arguments of liveswap-store. `done` is called once, on the loop, never from within ask(), and
  // must not throw.
  void ask(std::vector<std::string> words, Done done) { ask(std::move(words), limit_, std::move(done)); }
  void ask(std::vector<std::string> words, Milliseconds limit, Done done);
  // Answers every question with `text`, as failed.
  void give_up(const std::string& text);
  bool is_idle() const { return waiting_.empty() && running_.empty(); }

 private:
  struct Question {
    std::vector<std::string> words;
    Done done;
    Milliseconds until{0};
    std::unique_ptr<Task> task{};
    Place place{};
  };
  struct Owner;  // by which places find a living reader

  Milliseconds now() const;
  void look();
  void start(Question question);

  uv_loop_t& loop_;
  const SpawnRequest& store_;
  std::size_t at_once_;
  Milliseconds limit_;
  std::shared_ptr<Owner> owner_;
  std::deque<Question> waiting_;
  std::list<Question> running_;
  Timer timer_;
};

}  // namespace liveswap::master
