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
class StoreQueries {
 public:
  // Held while a question occupies one of the `at_once` places.
  using Place = std::shared_ptr<const void>;
  struct Reply {
    Task::Result result;         // `late` also if the limit passed in the queue
    spawn::ReceivedFd document;  // came with the answer
    Place place;                 // may be kept until the document has been sent
  };
  using Done = std::function<void(Reply&)>;

  // `store`: how to start liveswap-store; borrowed. `limit`: from ask() to the answer.
  StoreQueries(uv_loop_t& loop, const spawn::Request& store, std::size_t at_once, Milliseconds limit);
  StoreQueries(const StoreQueries&) = delete;
  StoreQueries& operator=(const StoreQueries&) = delete;
  ~StoreQueries();

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
  struct Owner;  // by which places find the living object

  Milliseconds now() const;
  void look();
  void start(Question question);
  static void answer(const Question& question, Task::Result::Kind kind, const std::string& text);

  uv_loop_t& loop_;
  const spawn::Request& store_;
  std::size_t at_once_;
  Milliseconds limit_;
  std::shared_ptr<Owner> owner_;
  std::deque<Question> waiting_;
  std::list<Question> running_;
  Timer timer_;
};

}  // namespace liveswap::master
