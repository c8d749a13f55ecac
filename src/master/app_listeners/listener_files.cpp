#include "master/app_listeners/listener_files.hpp"

#include <algorithm>

namespace liveswap::master {
namespace {

// A program that removes the file as often as this makes it again is left alone until the next occasion.
constexpr int looks = 4;

}  // namespace

// What is removed before the watch has begun is seen by the look that follows.
void ListenerFiles::mend() {
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
    watch();
    if (i > 0 && !changed) break;
  }
  looked_(news);
}

// A watch is of a file, not of its path: what is at the path may be another one by now.
void ListenerFiles::watch() {
  const auto names = listeners_.watched();
  std::erase_if(watches_, [&](const auto& one) {
    return !one.second->usable() || std::find(names.begin(), names.end(), one.first) == names.end();
  });
  for (const auto& name : names) {
    if (watches_.contains(name)) continue;
    watches_[name] = std::make_unique<FileWatch>(loop_, name, [this, name] {
      watches_.erase(name);
      mend();
    });
  }
}

}  // namespace liveswap::master
