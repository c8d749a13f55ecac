#include "cli/progress.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <vector>

#include "base/tail.hpp"
#include "base/text.hpp"
#include "cli/duration_text.hpp"
#include "cli/fields.hpp"
#include "cli/printable.hpp"
#include "json/parse.hpp"
#include "protocol/command_line.hpp"

namespace liveswap::cli {

struct Progress::Event {
  nlohmann::json object;

  std::string whole(const char* name) const { return json::text_or_empty(object, name); }
  // First line only.
  std::string text(const char* name) const { return printable(first_line(whole(name))); }
  std::string lines(const char* name) const { return printable(whole(name), true); }
  long long number(const char* name) const { return json::number(object, name).value_or(-1); }
  bool is(std::string_view name) const { return text("event") == name; }

  std::string what() const {
    const auto pid = number("pid");
    return pid < 0 ? "a worker" : fmt::format("worker {}", pid);
  }
  std::string who() const {
    const auto slot = number("slot");
    return slot < 0 ? what() : fmt::format("slot {}: {}", slot, what());
  }
};

namespace {

constexpr std::size_t widest_bar = 30;
constexpr std::size_t narrowest_bar = 8;

std::string after(std::string_view separator, const std::string& text) {
  return text.empty() ? text : std::string(separator) + text;
}

std::string lasting(long long ms) {
  return ms < 0 ? "" : ": " + duration_text(std::chrono::milliseconds(ms)) + " left";
}

std::string with_time(long long ms) {
  return ms < 0 ? "" : " after " + duration_text(std::chrono::milliseconds(ms));
}

}  // namespace

Progress::Note Progress::take(std::string_view json) {
  Event event{json::parse_or_null(json)};
  if (!event.object.is_object()) return {};
  count(event);
  Note note = describe(event);
  note.line = protocol::with_options(note.line, options_);
  return note;
}

Progress::Note Progress::describe(const Event& event) const {
  if (event.is("preparing")) return {"preparing" + after(": ", event.text("text")), false};
  if (event.is("started"))
    return {fmt::format("generation {}, {}: {}", event.number("generation"),
                        plural(event.number("slots"), "slot"), event.text("release")),
            false};
  if (event.is("spawned")) return {event.who() + " started", false};
  if (event.is("ready")) return {event.who() + " is ready" + with_time(event.number("ms")), false};
  if (event.is("draining")) return {event.who() + " drains", false};
  if (event.is("connections"))
    return {fmt::format("{} has {} left", event.who(), plural(event.number("open"), "connection")), false};
  if (event.is("silent")) return {event.who() + " does not answer" + after(": ", event.text("text")), true};
  if (event.is("answering")) return {event.who() + " answers again", false};
  if (event.is("hung")) return {event.what() + " hangs" + after(": ", event.lines("text")), true};
  if (event.is("stopped")) return {event.who() + " was stopped by a signal (SIGSTOP)", true};
  if (event.is("continued")) return {event.who() + " runs again", false};
  if (event.is("forced")) return {event.who() + " is ended by force" + after(": ", event.text("text")), true};
  if (event.is("gone"))
    return {
        event.who() + " has gone" + (event.text("exit") == "0" ? "" : after(", exit ", event.text("exit"))),
        false};
  // The text names the slot. All its lines are shown here; later events repeat it and show its first line.
  if (event.is("failed")) return {event.what() + " failed" + after(": ", event.lines("text")), true};
  if (event.is("dropped")) return {event.who() + " leaves out" + after(" ", event.text("listener")), true};
  if (event.is("committed")) return {"committed" + after(": ", event.text("release")), false};
  if (event.is("reverting")) return {"reverting" + after(": ", event.text("text")), false};
  if (event.is("queued")) return {"queued" + after(": ", event.text("text")), false};
  if (event.is("baking")) return {"baking" + lasting(event.number("left_ms")), false};
  if (event.is("flipped")) return {"flipped: new connections go to the new code", false};
  if (event.is("probation")) return {"probation" + lasting(event.number("left_ms")), false};
  if (event.is("waiting")) return {"waiting" + after(": ", event.text("text")), false};
  return {};
}

void Progress::count(const Event& event) {
  const auto pid = event.number("pid");
  if (event.is("preparing")) phase_ = "preparing";
  if (event.is("started")) {
    phase_ = "upgrading";
    slots_ = static_cast<std::size_t>(std::max(event.number("slots"), 0LL));
  }
  if (event.is("queued")) phase_ = "queued";
  if (event.is("baking") || event.is("probation")) phase_ = event.text("event");
  if (event.is("flipped")) phase_ = "upgrading";
  if (event.is("spawned")) {
    fresh_.insert(pid);
    // The bake has ended; the other slots follow.
    if (phase_ == "baking") phase_ = "upgrading";
  }
  if (event.is("ready") && event.number("slot") >= 0) ready_.insert(event.number("slot"));
  if (event.is("draining")) draining_.try_emplace(pid, 0);
  if (event.is("connections") && draining_.contains(pid))
    draining_[pid] = static_cast<std::size_t>(std::max(event.number("open"), 0LL));
  if (event.is("gone")) {
    draining_.erase(pid);
    if (!fresh_.contains(pid)) ++left_;
  }
  if (event.is("committed")) phase_ = "draining";
  if (event.is("reverting") && !reverting_) {
    // From here on the switched slots go back, and the new workers are the ones that leave.
    phase_ = "reverting";
    reverting_ = true;
    slots_ = ready_.size();
    ready_.clear();
    fresh_.clear();
    left_ = 0;
  }
}

double Progress::share() const {
  if (slots_ == 0) return reverting_ ? 1 : 0;
  const auto done = std::min(ready_.size(), slots_) + std::min(left_, slots_);
  return static_cast<double>(done) / static_cast<double>(2 * slots_);
}

std::string Progress::bar(std::size_t width, std::chrono::milliseconds elapsed, bool colour) const {
  std::vector<std::string> words;
  if (slots_ > 0) words.push_back(fmt::format("{}/{} slots", std::min(ready_.size(), slots_), slots_));
  if (!draining_.empty()) {
    words.push_back(plural(draining_.size(), "worker") + " draining");
    const auto open =
        std::accumulate(draining_.begin(), draining_.end(), std::size_t{0},
                        [](std::size_t sum, const auto& worker) { return sum + worker.second; });
    if (open > 0) words.push_back(plural(open, "connection"));
  }
  words.push_back(duration_text(elapsed));

  const auto joined = [&] { return fmt::format("{}", fmt::join(words, ", ")); };
  while (words.size() > 1 && phase_.size() + 1 + joined().size() > width) words.pop_back();
  const std::string text = joined();
  const std::size_t taken = phase_.size() + text.size() + 4;  // two spaces, two brackets
  const std::size_t room = width > taken ? std::min(width - taken, widest_bar) : 0;
  if (room < narrowest_bar) return (phase_ + " " + text).substr(0, width);
  const auto full = static_cast<std::size_t>(share() * static_cast<double>(room));
  const std::string drawn = std::string(full, '#') + std::string(room - full, '-');
  const char* begin = !colour ? "" : reverting_ ? "\x1b[33m" : "\x1b[32m";
  return fmt::format("{} [{}{}{}] {}", phase_, begin, drawn, colour ? "\x1b[0m" : "", text);
}

}  // namespace liveswap::cli
