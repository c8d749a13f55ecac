#include "systemd/announcement.hpp"

namespace liveswap::systemd {

std::string Announcement::next(Phase phase, const std::string& text, Microseconds now, pid_t main) const {
  std::string message;
  if (phase_ != phase) switch (phase) {
      case Phase::starting: break;
      case Phase::serving: message = ready(main); break;
      case Phase::reloading: message = reloading(now); break;
      case Phase::stopping: message = stopping(); break;
    }
  if (text != text_) message += status(text);
  return message;
}

void Announcement::told(Phase phase, const std::string& text) {
  phase_ = phase;
  text_ = text;
}

}  // namespace liveswap::systemd
