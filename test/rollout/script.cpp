#include "script.hpp"

#include <algorithm>
#include <stdexcept>

#include "words.hpp"

namespace liveswap::rollout {
namespace {

const Departure clean{"", "exit status 0", true};
const Departure crash{"entry", "killed by SIGSEGV", false};
const Departure unborn{"spawn", "cannot fork: Resource temporarily unavailable", false};

}  // namespace

Settings settings(unsigned forks) {
  Settings settings;
  settings.forks = forks;
  return settings;
}

UpgradeRequest file(const Pace& pace) {
  UpgradeRequest wish;
  wish.path = "b.so";
  wish.pace = pace;
  return wish;
}

UpgradeRequest stored(const std::string& release, const Pace& pace) {
  UpgradeRequest wish;
  wish.path = release;
  wish.release = Release{release, release};
  wish.pace = pace;
  return wish;
}

Script::Script(const Settings& settings) : settings_(settings), engine_(settings) {}

Script Script::booted(const Settings& settings) {
  Script script(settings);
  script.boot("A");
  for (WorkerId worker = 1; worker <= settings.forks; ++worker) script.ready(worker);
  script.committed();
  return script;
}

std::string Script::boot(const std::string& release) {
  return say(engine_.boot(now_, stored(release, settings_)));
}
std::string Script::prepare_boot(const std::string& path) {
  UpgradeRequest wish = file(settings_);
  wish.path = path;
  return say(engine_.boot(now_, wish));
}
std::string Script::upgrade(RequestId request) { return upgrade(request, file(settings_)); }
std::string Script::upgrade(RequestId request, const UpgradeRequest& wish) {
  return say(engine_.upgrade(now_, request, wish));
}
std::string Script::roll(RequestId request, const Pace& pace, const std::string& release) {
  upgrade(request, file(pace));
  return prepared(release);
}
std::string Script::promote(RequestId request) { return say(engine_.promote(now_, request)); }
std::string Script::abort(RequestId request) { return say(engine_.abort(now_, request)); }
std::string Script::kill(RequestId request) { return say(engine_.kill(now_, request)); }
std::string Script::forks(RequestId request, unsigned count) {
  return say(engine_.forks(now_, request, count));
}
std::string Script::gave_up(WorkerId worker) {
  engine_.entered(now_, worker, true);
  return say(engine_.returned(now_, worker, "liveswap_main returned 0"));
}
std::string Script::stopped_serving(WorkerId worker) {
  return say(engine_.stopped_serving(now_, worker, "it has closed the listener"));
}
std::string Script::stopped(WorkerId worker, bool is_stopped) {
  return say(engine_.stopped(now_, worker, is_stopped));
}
std::string Script::stop(RequestId request) { return say(engine_.stop(now_, request, false)); }
std::string Script::die(RequestId request) { return say(engine_.stop(now_, request, true)); }

std::string Script::prepared(const std::string& release, const std::string& remark) {
  return say(engine_.prepared(now_, {release, release}, remark));
}
std::string Script::prepare_failed(const std::string& text) {
  return say(engine_.prepare_failed(now_, text));
}
std::string Script::unfit(const std::string& text) { return say(engine_.unfit(now_, text)); }
std::string Script::committed() { return say(engine_.committed(now_)); }
std::string Script::commit_failed(const std::string& text) { return say(engine_.commit_failed(now_, text)); }
std::string Script::flip_failed(const std::string& text) { return say(engine_.flip_failed(now_, text)); }
std::string Script::flipped() { return say(engine_.flipped(now_)); }
std::string Script::measured(const std::map<WorkerId, std::uint64_t>& bytes) {
  return say(engine_.measured(now_, bytes));
}
std::string Script::probed(bool good) {
  return say(engine_.probed(now_, good ? Probe{1, 0, ""} : Probe{2, 1, "GET / gave 500, expected 200"}));
}
std::string Script::answered(WorkerId worker) { return say(engine_.answered(now_, worker)); }
std::string Script::unanswered(WorkerId worker) {
  return say(engine_.unanswered(now_, worker, "no answer within 1000 ms"));
}
std::string Script::cannot_be_asked(WorkerId worker) { return say(engine_.cannot_be_asked(now_, worker)); }
std::string Script::counted(const std::map<WorkerId, Served>& served) {
  return say(engine_.counted(now_, served));
}

std::string Script::entered(WorkerId worker) { return say(engine_.entered(now_, worker, false)); }
std::string Script::entered_deferred(WorkerId worker) { return say(engine_.entered(now_, worker, true)); }
std::string Script::deferred(WorkerId worker) { return say(engine_.deferred(now_, worker)); }
std::string Script::seen_ready(WorkerId worker) { return say(engine_.seen_ready(now_, worker)); }

std::string Script::ready(WorkerId worker) {
  say(engine_.entered(now_, worker, true));
  return say(engine_.ready(now_, worker));
}
std::string Script::returned(WorkerId worker) { return say(engine_.exited(now_, worker, clean)); }
std::string Script::crashed(WorkerId worker) { return say(engine_.exited(now_, worker, crash)); }
std::string Script::files(const FileNews& news) { return say(engine_.files(now_, news)); }
std::string Script::ended_by_sigterm(WorkerId worker, bool drained, std::uint64_t elsewhere) {
  return say(engine_.exited(now_, worker, {"", "killed by SIGTERM", false, true, drained, elsewhere}));
}
std::string Script::not_spawned(WorkerId worker) { return say(engine_.exited(now_, worker, unborn)); }

Parting Script::parting() const {
  const auto gone = std::find_if(notes_.rbegin(), notes_.rend(),
                                 [](const Note& note) { return note.kind == NoteKind::gone; });
  if (gone == notes_.rend()) throw std::logic_error("nobody has gone");
  return gone->parting;
}

std::string Script::pass(Time span) {
  const Time begin = now_;
  const Time end = now_ + span;
  std::string said;
  unsigned ticks = 0;
  for (auto due = engine_.next_deadline(); due && *due <= end; due = engine_.next_deadline()) {
    if (*due < now_ || ++ticks > 10'000) throw std::logic_error("the engine asks for ticks without end");
    now_ = *due;
    const std::string more = say(engine_.tick(now_), "+" + std::to_string((now_ - begin).count()) + " ");
    if (!said.empty() && !more.empty()) said += ", ";
    said += more;
  }
  now_ = end;
  return said;
}

long Script::next() const {
  const auto due = engine_.next_deadline();
  return due ? static_cast<long>((*due - now_).count()) : -1;
}

std::string Script::say(const Commands& commands, const std::string& prefix) {
  std::string said;
  for (const Command& command : commands) {
    if (const auto* note = std::get_if<Note>(&command)) notes_.push_back(*note);
    if (aside(command)) continue;
    if (const auto* answer = std::get_if<Answer>(&command)) answer_text_ = answer->text;
    said += (said.empty() ? "" : ", ") + prefix + in_words(command);
  }
  return said;
}

}  // namespace liveswap::rollout
