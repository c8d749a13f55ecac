#include <algorithm>

#include "master/master.hpp"

// The files that clients find Unix listeners by. They are looked at when a worker has left, before a release
// is committed, and whenever the kernel says that one has changed (inotify): anybody may remove a file at any
// time. Asleep, this costs nothing.
namespace liveswap::master {
namespace {

// A program that removes the file as often as this makes it again is left alone until the next occasion.
constexpr int looks = 4;

}  // namespace

// What is removed before the watch has begun is seen by the look that follows.
void Master::mend_files() {
  rollout::FileNews news;
  for (int i = 0; i < looks; ++i) {
    bool changed = false;
    news.lost.clear();
    for (const auto& [endpoint, report] : listeners_.mend_files()) {
      if (report.kind == FileReport::Kind::replaced) app_listeners_.replaced(*endpoint, report.former);
      const std::string name = endpoint->name(), address = endpoint->address();
      const std::string text =
          "listener " + (name == address ? name : name + " (" + address + ")") + ": " + report.text;
      const bool is_lost = report.kind == FileReport::Kind::lost;
      (is_lost ? news.lost : news.mended).push_back(text);
      changed = changed || !is_lost;
    }
    watch_files();
    if (i > 0 && !changed) break;
  }
  perform(engine_.files(now(), news));
}

// A watch is of a file, not of its path: what is at the path may be another one by now.
void Master::watch_files() {
  const auto names = listeners_.watched();
  std::erase_if(file_watches_, [&](const auto& one) {
    return !one.second->usable() || std::find(names.begin(), names.end(), one.first) == names.end();
  });
  for (const auto& name : names) {
    if (file_watches_.contains(name)) continue;
    file_watches_[name] = std::make_unique<FileWatch>(loop_, name, [this, name] {
      file_watches_.erase(name);
      mend_files();
    });
  }
}

}  // namespace liveswap::master
