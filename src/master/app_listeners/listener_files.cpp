#include "master/app_listeners/listener_files.hpp"

#include <algorithm>

namespace liveswap::master {
namespace {

// The most checks in one mend(): another program may remove the file each time at once.
constexpr int looks = 4;

}  // namespace

// A file may be removed before its watch has begun, so the files are checked again after watch().
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
  const bool is_news = !news.mended.empty() || news.lost != lost_;
  lost_ = news.lost;
  if (is_news) looked_(news);
}

// inotify watches the file, not the path. After a change the path may lead to another file, so the handler
// removes the watch, and mend() makes a new one.
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
