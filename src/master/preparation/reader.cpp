#include "master/preparation/reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace liveswap::master {

using Kind = Task::Result::Kind;

struct Reader::Owner {
  Reader* reader;
  std::size_t taken = 0;
};

Reader::Reader(uv_loop_t& loop, const SpawnRequest& store, std::size_t at_once, Milliseconds limit)
    : loop_(loop), store_(store), at_once_(at_once), limit_(limit), owner_(new Owner{this}), timer_(loop) {
  timer_.on_due([this] { look(); });
}

Reader::~Reader() { owner_->reader = nullptr; }

Milliseconds Reader::now() const { return Milliseconds(uv_now(&loop_)); }

void Reader::ask(std::vector<std::string> words, Milliseconds limit, Done done) {
  waiting_.push_back({std::move(words), std::move(done), now() + limit});
  timer_.start(Milliseconds{0});
}

// Starts waiting questions if there is room; answers those past the limit.
void Reader::look() {
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
    Reply reply{{Kind::late, "", "", "", ""}, {}, {}};
    late.done(reply);
  }
}

void Reader::start(Question question) {
  ++owner_->taken;
  question.place = Place(owner_.get(), [owner = owner_](const void*) {
    --owner->taken;
    if (owner->reader) owner->reader->timer_.start(Milliseconds{0});
  });
  SpawnRequest request = store_;
  request.arguments = std::move(question.words);
  request.arguments.insert(request.arguments.begin(), "liveswap-store");
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
  Reply reply{{Kind::unstarted, "an error inside the master cut it off", "", "", ""}, {}, {}};
  failed.done(reply);
}

void Reader::give_up(const std::string& text) {
  const auto waiting = std::exchange(waiting_, {});
  auto running = std::exchange(running_, {});  // destroying them ends their processes
  const auto answer = [&](const Question& question) {
    Reply reply{{Kind::unstarted, text, "", "", ""}, {}, {}};
    question.done(reply);
  };
  for (const auto& question : waiting) answer(question);
  for (const auto& question : running) answer(question);
}

}  // namespace liveswap::master
