#include "master/releases/store_tasks.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "base/text.hpp"
#include "json/fields.hpp"
#include "json/parse.hpp"

namespace liveswap::master {

spawn::Request StoreTasks::request(const std::vector<std::string>& words) const {
  spawn::Request request = store_;
  request.arguments.insert(request.arguments.end(), words.begin(), words.end());
  return request;
}

void StoreTasks::collect(const std::set<std::string>& keep, std::size_t more) {
  if (collection_) return;
  std::vector<std::string> words{"collect", options_.state_dir, std::to_string(more)};
  words.insert(words.end(), keep.begin(), keep.end());
  collection_ = std::make_unique<Task>(loop_, "store", request(words), options_.check_limit,
                                       [this](const Task::Result& result) {
                                         const auto ended = std::move(collection_);
                                         if (result.kind != Task::Result::Kind::done)
                                           log::warning("old releases could not be removed: {}", result.text);
                                       });
}

void StoreTasks::stop_collecting() {
  if (!collection_) return;
  dying_.push_front(std::move(collection_));
  const auto place = dying_.begin();
  (*place)->cancel([this, place] { dying_.erase(place); });
}

void StoreTasks::compare(const rollout::Release& committed, std::function<void(const std::string&)> done) {
  comparison_ = std::make_unique<Task>(
      loop_, "store", request({"hash", committed.path}), options_.check_limit,
      [this, committed, done = std::move(done)](const Task::Result& result) {
        const auto ended = std::move(comparison_);
        const bool read = result.kind == Task::Result::Kind::done;
        if (!read || json::text(json::parse_or_null(result.text), "id") != committed.id)
          difference_ = fmt::format(
              "running release {}, as it was committed; what is at {} now is another one ({}): "
              "`liveswap upgrade` takes it",
              short_id(committed.id), committed.path, read ? "rebuilt since" : result.text);
        done(difference_);
      });
}

}  // namespace liveswap::master
