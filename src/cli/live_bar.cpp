#include "cli/live_bar.hpp"

namespace liveswap::cli {
namespace {

constexpr std::chrono::milliseconds tick_time{100};

}  // namespace

LiveBar::LiveBar(std::string options)
    : progress_(std::move(options)), ticker_([this](const std::stop_token& stop) { tick(stop); }) {}

LiveBar::~LiveBar() {
  ticker_.request_stop();
  ticker_.join();
  terminal_.clear();
}

void LiveBar::take(const std::string& json) {
  const std::lock_guard lock(mutex_);
  const auto note = progress_.take(json);
  if (note.trouble) keep_line(note.line);
  draw();
}

void LiveBar::keep(const std::string& line) {
  const std::lock_guard lock(mutex_);
  keep_line(line);
  draw();
}

void LiveBar::keep_line(const std::string& line) {
  terminal_.draw(line);
  terminal_.next_line();
}

void LiveBar::draw() {
  const auto elapsed =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin_);
  // A full-width line would wrap at the cursor, and could not be overwritten.
  const std::size_t width = terminal_.width();
  terminal_.draw(progress_.bar(width > 1 ? width - 1 : 1, elapsed, terminal_.colour()));
}

void LiveBar::tick(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    draw();
    stopped_.wait_for(lock, stop, tick_time, [] { return false; });
  }
}

}  // namespace liveswap::cli
