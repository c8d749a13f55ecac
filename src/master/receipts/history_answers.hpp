#pragma once

#include <string>
#include <vector>

#include "master/control/open_requests.hpp"
#include "master/preparation/reader.hpp"

namespace liveswap::master {

// From a question to the history to its answer, the time included in which others are answered.
inline constexpr Milliseconds reading_limit{30'000};

// Answers `history` and `receipt`: a process of liveswap-store reads the receipts, and its answer goes to the
// client as it is.
class HistoryAnswers {
 public:
  // `requests` must outlive this object. `store`: liveswap-store; borrowed.
  HistoryAnswers(uv_loop_t& loop, const SpawnRequest& store, std::string state_dir, OpenRequests& requests);

  // `count`, `number`: as the client wrote them; empty: the default.
  void list(rollout::RequestId request, const std::string& count);
  void receipt(rollout::RequestId request, const std::string& number);
  // Refuses a request for which liveswap-store gave no answer: says why.
  void refuse(rollout::RequestId request, const Task::Result& result);
  void give_up(const std::string& text) { reader_.give_up(text); }

 private:
  void ask(rollout::RequestId request, std::vector<std::string> words);
  void pass_on(rollout::RequestId request, Reader::Reply& reply);

  std::string state_dir_;
  OpenRequests& requests_;
  Reader reader_;
};

}  // namespace liveswap::master
