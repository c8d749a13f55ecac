#pragma once

#include <string>
#include <vector>

#include "master/control/open_requests.hpp"
#include "master/releases/store_queries.hpp"

namespace liveswap::master {

// Time limit for reading the history, including the time in the queue.
inline constexpr Milliseconds reading_limit{30'000};

// Answers the commands `history` and `receipt`. A liveswap-store process reads the receipts and writes the
// answer line into a memory file. The master sends the content to the client unparsed.
class HistoryAnswers {
 public:
  // `requests` and `store` must outlive this object. `store`: how to start liveswap-store.
  HistoryAnswers(uv_loop_t& loop, const spawn::Request& store, std::string state_dir, OpenRequests& requests);

  // `count`, `number`: the client's unchecked text; empty: the default.
  void list(rollout::RequestId request, const std::string& count);
  void receipt(rollout::RequestId request, const std::string& number);
  // Sends the client an error with the reason why liveswap-store gave no answer.
  void refuse(rollout::RequestId request, const Task::Result& result);
  void give_up(const std::string& text) { queries_.give_up(text); }

 private:
  void ask(rollout::RequestId request, std::vector<std::string> words);
  void pass_on(rollout::RequestId request, StoreQueries::Reply& reply);

  std::string state_dir_;
  OpenRequests& requests_;
  StoreQueries queries_;
};

}  // namespace liveswap::master
