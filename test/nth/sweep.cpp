#include "sweep.hpp"

#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace nth {
namespace {

// Enough on a busy machine.
constexpr Milliseconds patience{20'000};
// The wait for something that cannot succeed.
constexpr Milliseconds hopeless{300};

constexpr const char* start_and_stop = "start and stop";
constexpr const char* reload = "reload";

constexpr std::uint64_t never = UINT64_MAX;
constexpr unsigned start_share = 4;
constexpr unsigned history_step = 4;
constexpr std::size_t shown_of_log = 2500;

const char* word(bool for_ever) { return for_ever ? "for ever" : "once"; }

}  // namespace

Sweep::Sweep(const Settings& settings)
    : settings_(settings),
      board_(settings.place.directory + "/board"),
      store_(settings.place.directory + "/store-board"),
      master_(settings.place, board_, store_) {}

Failure Sweep::failure(std::uint64_t n, Times times) const {
  return {settings_.kinds, settings_.error, n, times == Times::once ? n : never};
}

Json Sweep::command_of(const Step& step) {
  if (step.name == reload) master_.write_configuration();
  if (!step.command.is_null()) return step.command;
  version_ = 3 - version_;
  return {{"cmd", "upgrade"}, {"value", step.in_store ? master_.fresh_library() : master_.library(version_)}};
}

bool Sweep::run() {
  const std::vector<Step> steps{{"status", {{"cmd", "status"}}, 18},
                                {"history", {{"cmd", "history"}}, 8},
                                {"message", {{"cmd", "message"}, {"value", "hello"}}, 10},
                                {"upgrade", Json(), 12},
                                {"rollback", {{"cmd", "rollback"}}, 8},
                                {reload, {{"cmd", "reload"}}, 4},
                                {"history, store", {{"cmd", "history"}}, 4, true},
                                {"upgrade, store", Json(), 8, true}};
  master_.start(std::nullopt);
  if (!master_.wait_until_running(patience)) find("the first start", "no master runs:\n" + master_.log());
  if (findings_ > 0) return false;
  clients_ = std::make_unique<Clients>(master_.port());
  for (const Times times : {Times::once, Times::for_ever})
    for (const Step& step : steps)
      if (is_wanted(step.name)) sweep_step(step, times);
  clients_->pause();
  stop(std::nullopt, Times::once, "the stop without a failure");
  for (const Times times : {Times::once, Times::for_ever})
    if (is_wanted(start_and_stop)) sweep_start_and_stop(times);
  std::printf("%u tried, %lu requests answered, %u findings\n", tried_, clients_->answered(), findings_);
  clients_->go_on();
  return findings_ == 0;
}

std::vector<std::uint64_t> Sweep::chosen(std::uint64_t calls, unsigned share) const {
  const std::uint64_t most =
      settings_.most == 0 ? calls : std::max<std::uint64_t>(1, settings_.most * std::uint64_t{share} / 100);
  const std::uint64_t count = std::min(calls, most);
  std::vector<std::uint64_t> found;
  for (std::uint64_t i = 0; i < count; ++i) found.push_back(1 + i * calls / count);
  return found;
}

void Sweep::sweep_step(const Step& step, Times times) {
  master_.shorten_history();
  Board& board = board_of(step);
  store_.release();
  board.arm({settings_.kinds, 0, never, never});
  const auto answer = master_.ask(command_of(step), patience);
  const auto calls = board.disarm().seen;
  if (!answer || answer->contains("error"))
    find(step.name, "fails by itself: " + (answer ? answer->dump() : "no answer"));
  look_after(step.name);
  Figures figures;
  for (const auto n : chosen(calls, step.share)) try_command(step, times, n, figures);
  // Without a failure the command still succeeds.
  const auto last = master_.ask(command_of(step), patience);
  if (!last || last->contains("error"))
    find(step.name, "fails afterwards: " + (last ? last->dump() : "no answer"));
  look_after(step.name);
  print(step.name, times, calls, figures);
}

void Sweep::try_command(const Step& step, Times times, std::uint64_t n, Figures& figures) {
  const Json command = command_of(step);
  Board& board = board_of(step);
  store_.release();
  board.arm(failure(n, times));
  const auto answer = master_.ask(command, times == Times::once ? patience : hopeless);
  const auto fate = board.disarm();
  ++figures.tried;
  ++tried_;
  if (tried_ % history_step == 0) master_.shorten_history();
  if (fate.failed > 0) ++figures.reached;
  if (!answer || answer->contains("error")) ++figures.refused;
  const auto where = step.name + ", call " + std::to_string(n) + " fails " + word(times == Times::for_ever) +
                     " (" + fate.name + ")";
  look_after(where);
  if (step.name == reload) look_after_reload(where, answer);
}

// Either every change of the file has been applied, or none. Without an answer, or where an error has cut the
// answer off, it is not known which.
void Sweep::look_after_reload(const std::string& where, const std::optional<Json>& answer) {
  const auto now = master_.ask({{"cmd", "reload"}, {"dry_run", true}}, patience);
  const auto left = now && now->contains("changes") ? (*now)["changes"].size() : SIZE_MAX;
  const bool is_applied = left == 0, is_undone = left == MasterRun::changes_of_configuration;
  const bool is_known = answer && !answer->value("cmd", "").empty();
  const bool fits = !is_known ? is_applied || is_undone : answer->contains("error") ? is_undone : is_applied;
  if (!fits)
    find(where, "the settings are mixed: " + (now ? now->dump() : "no answer") + " after " +
                    (answer ? answer->dump() : "no answer"));
}

// The first check mostly suffices; it costs one `status` command.
void Sweep::look_after(const std::string& where) {
  const auto trouble = master_.trouble(patience);
  if (!trouble.empty()) find(where, trouble);
  for (const auto& [why, count] : clients_->take_lost())
    find(where, std::to_string(count) + " requests lost: " + why);
  if (!trouble.empty()) restart();
}

// Starts a new master after a finding, so that the next findings have causes of their own.
void Sweep::restart() {
  clients_->pause();
  if (!master_.ended()) master_.signal(SIGKILL);
  master_.ends_within(patience);
  master_.left_behind(patience);
  clients_->take_lost();  // lost because the master was killed
  master_.start(std::nullopt);
  if (!master_.wait_until_running(patience) || master_.ended())
    find("the start after that", "no master runs:\n" + master_.log());
  clients_->go_on();
}

void Sweep::find(const std::string& where, const std::string& what) {
  ++findings_;
  const auto log = master_.log();
  std::printf("FINDING: %s: %s\n", where.c_str(), what.c_str());
  if (const auto status = master_.ended(); status && WIFSIGNALED(*status))
    std::printf("  the master was killed by SIG%s\n", ::sigabbrev_np(WTERMSIG(*status)));
  std::printf("  the end of its log:\n%s\n",
              log.substr(log.size() > shown_of_log ? log.size() - shown_of_log : 0).c_str());
  std::fflush(stdout);
}

void Sweep::sweep_start_and_stop(Times times) {
  master_.start(failure(never, times));
  master_.wait_until_ready(patience);
  const auto starts = board_.disarm().seen;
  board_.arm(failure(never, times));
  master_.signal(SIGTERM);
  master_.ends_within(patience);
  const auto stops = board_.disarm().seen;
  Figures figures;
  const auto first = chosen(starts, start_share), second = chosen(stops, start_share);
  for (std::size_t i = 0; i < std::max(first.size(), second.size()); ++i)
    try_start_and_stop(times, i < first.size() ? first[i] : never, second[i % second.size()], figures);
  print(start_and_stop, times, starts + stops, figures);
}

void Sweep::try_start_and_stop(Times times, std::uint64_t start_n, std::uint64_t stop_n, Figures& figures) {
  master_.start(failure(start_n, times));
  master_.wait_until_running(times == Times::once ? patience : hopeless);
  const auto fate = board_.disarm();
  const std::string where = "start, call " + std::to_string(start_n) + " fails " +
                            word(times == Times::for_ever) + " (" + fate.name + ")";
  ++figures.tried;
  ++tried_;
  if (fate.failed > 0) ++figures.reached;
  if (!master_.wait_until_running(patience)) find(where, "it neither runs nor ends");
  if (const auto status = master_.ended()) {
    ++figures.refused;
    if (!WIFEXITED(*status) || WEXITSTATUS(*status) == 0)
      find(where, "it ended with wait status " + std::to_string(*status));
    if (const auto left = master_.left_behind(patience); !left.empty())
      find(where, "processes were left behind:" + left);
    return;
  }
  ++tried_;
  stop(failure(stop_n, times), times,
       "stop, call " + std::to_string(stop_n) + " fails " + word(times == Times::for_ever));
}

bool Sweep::stop(const std::optional<Failure>& failure, Times times, const std::string& where) {
  const auto before = findings_;
  if (failure) board_.arm(*failure);
  master_.signal(SIGTERM);
  bool ends = master_.ends_within(times == Times::once ? patience : hopeless);
  const auto fate = board_.disarm();
  // Now that no call fails, the master ends by itself, or after a second SIGTERM.
  if (!ends) ends = master_.ends_within(hopeless);
  if (!ends) master_.signal(SIGTERM);
  if (!master_.ends_within(patience)) {
    find(where + " (" + fate.name + ")", "it does not end");
    master_.signal(SIGKILL);
    master_.ends_within(patience);
  }
  if (!WIFEXITED(*master_.ended()))
    find(where + " (" + fate.name + ")", "it ended with wait status " + std::to_string(*master_.ended()));
  if (const auto left = master_.left_behind(patience); !left.empty())
    find(where + " (" + fate.name + ")", "processes were left behind:" + left);
  return findings_ == before;
}

void Sweep::print(const std::string& name, Times times, std::uint64_t calls, const Figures& figures) const {
  std::printf("%-16s %-9s %6lu calls, %6u tried, %6u of them failed, %6u commands refused or not answered\n",
              name.c_str(), word(times == Times::for_ever), static_cast<unsigned long>(calls), figures.tried,
              figures.reached, figures.refused);
  std::fflush(stdout);
}

}  // namespace nth
