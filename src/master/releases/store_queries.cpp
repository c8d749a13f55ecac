#include "master/releases/store_queries.hpp"

#include <algorithm>
#include <utility>

namespace liveswap::master {

using Kind = Task::Result::Kind;

struct StoreQueries::Owner {
  StoreQueries* queries;
  std::size_t taken = 0;
};

StoreQueries::StoreQueries(uv_loop_t& loop, const spawn::Request& store, std::size_t at_once,
                           Milliseconds limit)
    : loop_(loop), store_(store), at_once_(at_once), limit_(limit), owner_(new Owner{this}), timer_(loop) {
  timer_.on_due([this] { look(); });
}

StoreQueries::~StoreQueries() { owner_->queries = nullptr; }

Milliseconds StoreQueries::now() const { return Milliseconds(uv_now(&loop_)); }

void StoreQueries::ask(std::vector<std::string> words, Milliseconds limit, Done done) {
  waiting_.push_back({std::move(words), std::move(done), now() + limit});
  timer_.start(Milliseconds{0});
}

// Answers a question that liveswap-store does not.
void StoreQueries::answer(const Question& question, Kind kind, const std::string& text) {
  Reply reply{{kind, text, "", "", ""}, {}, {}};
  question.done(reply);
}

// Starts waiting questions if there is room; answers those past the limit.
void StoreQueries::look() {
  while (!waiting_.empty() && owner_->taken < at_once_) {
    Question next = std::move(waiting_.front());
    waiting_.pop_front();
    start(std::move(next));
  }
  const auto by_limit = [](const Question& a, const Question& b) { return a.until < b.until; };
  while (!waiting_.empty()) {
    const auto next = std::min_element(waiting_.begin(), waiting_.end(), by_limit);
    if (next->until > now()) return timer_.start(next->until - now());
    const Question late = std::move(*next);
    waiting_.erase(next);
    answer(late, Kind::late, "");
  }
}

void StoreQueries::start(Question question) {
  ++owner_->taken;
  question.place = Place(owner_.get(), [owner = owner_](const void*) {
    --owner->taken;
    if (owner->queries) owner->queries->timer_.start(Milliseconds{0});
  });
  spawn::Request request = store_;
  request.arguments.insert(request.arguments.end(), question.words.begin(), question.words.end());
  const auto left = std::max(question.until - now(), Milliseconds{1});
  running_.push_front(std::move(question));
  const auto at = running_.begin();
  const auto begin = [&] {
    at->task = std::make_unique<Task>(
        loop_, "store", std::move(request), left, [this, at](const Task::Result& result) {
          Question ended = std::move(*at);
          running_.erase(at);
          Reply reply{result, ended.task->take_descriptor(), std::move(ended.place)};
          ended.done(reply);
        });
  };
  if (guarded(begin)) return;
  // The destructor of `failed` frees the place.
  const Question failed = std::move(*at);
  running_.erase(at);
  answer(failed, Kind::unstarted, "an error inside the master cut it off");
}

void StoreQueries::give_up(const std::string& text) {
  const auto waiting = std::exchange(waiting_, {});
  auto running = std::exchange(running_, {});  // destroying them ends their processes
  for (const auto& question : waiting) answer(question, Kind::unstarted, text);
  for (const auto& question : running) answer(question, Kind::unstarted, text);
}

}  // namespace liveswap::master
