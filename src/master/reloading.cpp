#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "config/wishes.hpp"
#include "master/master.hpp"
#include "master/settings.hpp"
#include "master/setup.hpp"
#include "spawn/worker_host.hpp"

// `liveswap reload`: the configuration file is read again, and what has changed is applied.
//
//   read ─▶ plan ─▶ new listeners ─▶ values for the master ─▶ more slots
//        ─▶ a rolling generation ─▶ fewer slots ─▶ answer
//
// New listeners are bound before anything else changes. Then the master takes all new values, so that the new
// generation starts under the new limits and pace. A step that fails sets every value back, in the reverse
// order. The last step cannot fail. Workers have their settings, and their listeners, by a profile of the
// pool, which the engine commits and reverts together with the generation.
namespace liveswap::master {
namespace {

using config::Applies;

protocol::Json changes_json(const config::ReloadPlan& plan) {
  protocol::Json all = protocol::Json::array();
  for (const auto& change : plan.changes)
    all.push_back({{"key", change.key}, {"applies", config::word(change.applies)}, {"text", change.text}});
  return all;
}

// "forks (2 → 4) at once; environment (MODE changed) by a new generation".
std::string applied_text(const config::ReloadPlan& plan) {
  const auto at_once = plan.text(Applies::at_once), generation = plan.text(Applies::generation);
  std::string text = at_once.empty() ? "" : at_once + " at once";
  if (!generation.empty()) text += (text.empty() ? "" : "; ") + generation + " by a new generation";
  return text;
}

bool changes(const config::ReloadPlan& plan, std::string_view key) {
  for (const auto& change : plan.changes)
    if (change.key == key) return true;
  return false;
}

bool changes_listeners(const config::ReloadPlan& plan) {
  return changes(plan, "listen") || changes(plan, "listen-mode");
}

}  // namespace

// Why no reload can begin now; nullopt: one can.
std::optional<std::string> Master::reload_obstacle() const {
  if (reload_) return "a reload is under way";
  return engine_.under_way();
}

void Master::on_reload(rollout::RequestId request, const protocol::Command& command) {
  bool dry_run = false;
  for (const auto& [name, text] : command.wishes) {
    if (name != "dry_run" || (text != "true" && text != "false"))
      return requests_.refuse(
          request, protocol::Refusal::usage,
          fmt::format("found the option \"{}\" with \"{}\", expected dry_run: true or false", name, text));
    dry_run = text == "true";
  }
  if (options_.config_file.empty() || !options_.read_config)
    return requests_.refuse(
        request, protocol::Refusal::refused,
        "the master was started without a configuration file (-c FILE): there is nothing to "
        "read again");
  config_reading_.read(options_, tools_.worker.identity,
                       [this, request, dry_run](const ConfigReading::Outcome& found) {
                         answer_or_give_up(request, [&] { on_config(request, found, dry_run); });
                       });
}

void Master::on_config(rollout::RequestId request, const ConfigReading::Outcome& found, bool dry_run) {
  if (!found && found.error().text.empty()) return requests_.give_up(request);
  if (!found) return requests_.refuse(request, found.error().refusal, found.error().text);
  const auto plan = config::plan_reload(options_, found->options);
  protocol::Json members{{"changes", changes_json(plan)}};
  const auto refuse = [&](const std::string& why) {
    requests_.answer(request, protocol::error_line("reload", protocol::Refusal::refused, why, members));
  };
  if (plan.has(Applies::restart))
    return refuse(
        fmt::format("this cannot be changed while the master runs: {}; nothing was changed. Take it back "
                    "in {}, or start the master anew",
                    plan.text(Applies::restart), options_.config_file));
  if (plan.changes.empty() || dry_run) {
    members["text"] = plan.changes.empty() ? "nothing has changed" : "would apply " + applied_text(plan);
    return requests_.answer(request, protocol::ok_line("reload", members));
  }
  if (const auto busy = reload_obstacle()) return refuse(*busy);
  if (const auto failure = begin_reload(request, *found, plan)) {
    log::warning("reload: {}", failure->text);
    requests_.refuse(request, failure->refusal, failure->text);
  }
}

// nullopt: it has begun, and the request is answered when it is done.
std::optional<ConfigReading::Failure> Master::begin_reload(rollout::RequestId request,
                                                           const ConfigReading::Found& found,
                                                           const config::ReloadPlan& plan) {
  log::info("reload: {}", applied_text(plan));
  Options next = options_;
  config::take_changes(plan, found.options, next);
  auto lending = other_listeners(plan, found);
  if (!lending)
    return ConfigReading::Failure{protocol::Refusal::refused, lending.error().text + "; nothing was changed"};
  if (auto moved = move_log(next.log_file); !moved) {
    lending = listeners_.lending();
    close_listeners();
    return ConfigReading::Failure{protocol::Refusal::failed, moved.error().text + "; nothing was changed"};
  }
  reload_ = PendingReload{request,      0,    plan, options_, tools_.worker.identity, engine_.fork_count(),
                          std::nullopt, false};
  reload_changes_[request] = changes_json(plan);
  if (changes(plan, "forks")) reload_->forks = next.forks;
  if (changes_listeners(plan)) listeners_.take_up(*lending);
  use(next, found.identity);
  if (reload_->forks && *reload_->forks > engine_.fork_count()) grow_for_reload();
  else go_on_with_reload();
  return std::nullopt;
}

// Binds new listeners, with closed doors. Without a change: what there is.
Result<Lending> Master::other_listeners(const config::ReloadPlan& plan, const ConfigReading::Found& found) {
  if (!changes_listeners(plan)) return listeners_.lending();
  const Options& fresh = found.options;
  return listeners_.prepare({fresh.listen, fresh.listen_mode, fresh.backlog, found.hosts});
}

// The new slots run the committed release with the settings that hold so far.
void Master::grow_for_reload() {
  const unsigned forks = *std::exchange(reload_->forks, std::nullopt);
  const std::string by = requests_.find(reload_->request)->by;
  reload_->step = requests_.open({0, protocol::Verb::forks, false, {}, by, now()});
  const auto begun = set_forks(reload_->step, forks);
  if (!begun) end_step({reload_->step, rollout::Verdict::failed, begun.error().text});
}

void Master::end_step(rollout::Answer answer) {
  requests_.answer(std::exchange(reload_->step, 0), {});
  if (reload_->answer) {
    answer = *reload_->answer;
    end_reload();
    return carry_out(answer);
  }
  if (answer.verdict == rollout::Verdict::ok) return go_on_with_reload();
  answer.request = reload_->request;
  carry_out(answer);
}

void Master::go_on_with_reload() {
  const auto request = reload_->request;
  if (reload_->plan.has(Applies::generation)) {
    rollout::UpgradeRequest wish;
    wish.release = engine_.release();
    wish.path = wish.release->path;
    wish.pace = pace_of(config::for_forks(options_, engine_.fork_count()));
    wish.profile = pool_.add_profile(worker_profile(), engine_.profile());
    // Sockets of a second set would be made for what does not change, too.
    if (changes_listeners(reload_->plan)) wish.pace.flip = false;
    wish.remark = "reloaded: " + applied_text(reload_->plan);
    return perform(engine_.upgrade(now(), request, wish));
  }
  shrink_for_reload();
  note_reload();
  carry_out(rollout::Answer{request, rollout::Verdict::ok, "reloaded: " + applied_text(reload_->plan)});
}

// A reload without a new generation has a receipt, too.
void Master::note_reload() {
  rollout::Note note;
  note.kind = rollout::NoteKind::started;
  note.request = reload_->request;
  note.generation = engine_.generation();
  note.release = engine_.release();
  receipts_.add(note);
}

// Begins to remove slots; that cannot fail, and nobody waits for the workers that drain.
void Master::shrink_for_reload() {
  if (!reload_->forks) return;
  if (const auto busy = engine_.under_way())
    return log::warning("reload: there are still {} slots, since {}: `liveswap forks {}`",
                        engine_.fork_count(), *busy, *reload_->forks);
  perform(engine_.forks(now(), 0, *reload_->forks));
}

// Call for each note of the engine.
void Master::follow_reload(const rollout::Note& note) {
  if (!reload_ || note.request != reload_->request) return;
  if (note.kind == rollout::NoteKind::reverting) undo_reload();
  if (note.kind != rollout::NoteKind::committed) return;
  shrink_for_reload();
  end_reload();
}

// For the log, which has the changes of a reload already.
rollout::Note Master::without_reload(rollout::Note note) const {
  if (reload_ && note.request == reload_->request && note.kind == rollout::NoteKind::started)
    note.text.clear();
  return note;
}

// Call for each answer of the engine. True: it was one of a step, and has been dealt with.
bool Master::take_reload_answer(const rollout::Answer& answer) {
  if (!reload_) return false;
  if (reload_->step != 0 && answer.request == reload_->step) {
    end_step(answer);
    return true;
  }
  if (answer.request != reload_->request) return false;
  if (answer.verdict != rollout::Verdict::ok) {
    undo_reload();
    reload_->answer = answer;
    if (take_back_forks()) return true;
  }
  end_reload();
  return false;
}

// Either the new settings are committed by now, or the former ones hold again.
void Master::end_reload() {
  reload_.reset();
  listeners_.keep();
  pool_.keep_profile(engine_.profile());
  steer();
  close_listeners();
}

void Master::close_listeners() {
  listeners_.close_unheld([this](Endpoint& endpoint) { app_listeners_.forget(endpoint); });
}

// Sets the values back that the reload has changed; not the number of slots.
void Master::undo_reload() {
  if (std::exchange(reload_->undone, true)) return;
  listeners_.take_back();
  if (auto moved = move_log(reload_->before.log_file); !moved) log::warning("reload: {}", moved.error().text);
  const Options before = reload_->before;
  use(before, reload_->identity);
  log::warning("reload: every setting is as it was");
}

// True: it has begun, as the step of the reload.
bool Master::take_back_forks() {
  if (engine_.stopping() || engine_.fork_count() == reload_->forks_before) return false;
  if (const auto busy = engine_.under_way()) {
    log::warning("reload: there are {} slots now and not {}, since {}", engine_.fork_count(),
                 reload_->forks_before, *busy);
    return false;
  }
  const auto* request = requests_.find(reload_->request);
  reload_->step = requests_.open({0, protocol::Verb::forks, false, {}, request ? request->by : "", now()});
  perform(engine_.forks(now(), reload_->step, reload_->forks_before));
  return true;
}

Result<void> Master::move_log(const std::string& path) const {
  return path == options_.log_file ? Result<void>() : log::move_to(path);
}

// Makes every part of the master use these options from now on. Workers that run keep their settings.
void Master::use(const Options& options, const std::optional<spawn::Identity>& identity) {
  options_ = options;
  tools_.worker.environment = spawn::child_environment(options_.environment);
  tools_.worker.working_directory = options_.working_directory;
  tools_.worker.identity = identity;
  // The first is the limit on descriptors that the master itself was started with.
  tools_.worker.limits.resize(1);
  for (const auto& limit : resource_limits(options_.limits)) tools_.worker.limits.push_back(limit);
  tools_.arguments = options_.arguments;
  tools_.entry = options_.entry;
  tools_.launch = launch_words(options_);
  tools_.plugin = options_.pre_upgrade;
  tools_.there = options_.working_directory.empty() ? home_ : options_.working_directory;
  tools_.plugin_limit = options_.pre_upgrade_limit;
  tools_.check_limit = options_.check_limit;
  engine_.configure(engine_settings(options_));
  app_listeners_.follow(app_listener_rules(options_, identity, !listeners_.lent().empty()));
  listeners_.set_backlog(options_.backlog);
  pool_.set_limits(limit_of(options_.drain_limit), options_.term_grace);
  health_rounds_.renew(options_.health_interval);
  if (liveness_checks_.use(liveness_plan(options_, tools_.worker))) engine_.forget_liveness();
  liveness_checks_.follow();
}

WorkerPool::Profile Master::worker_profile() const {
  return {tools_.worker, options_.arguments, worker_words(options_), listeners_.lending()};
}

// SIGHUP: an upgrade to what is at the current path, with the environment of the configuration file.
void Master::upgrade_with_environment(rollout::RequestId request, const char* name) {
  rollout::UpgradeRequest wish;
  if (options_.config_file.empty() || !options_.read_config || reload_obstacle()) {
    wish.pace = pace_of(options_);
    return perform(engine_.upgrade(now(), request, wish));
  }
  config_reading_.read(options_, tools_.worker.identity,
                       [this, request, name](const ConfigReading::Outcome& found) {
                         answer_or_give_up(request, [&] { on_environment(request, found, name); });
                         service_.follow();
                       });
}

void Master::on_environment(rollout::RequestId request, const ConfigReading::Outcome& found,
                            const char* name) {
  const auto refuse = [&](const std::string& why) {
    log::error("{}: nothing is upgraded: {}", name, why);
    requests_.refuse(request, protocol::Refusal::refused, why);
  };
  if (!found) return refuse(found.error().text);
  if (const auto busy = reload_obstacle()) return refuse(*busy);
  config::ReloadPlan plan = config::plan_reload(options_, found->options), others = plan;
  std::erase_if(plan.changes, [](const auto& change) { return change.key != "environment"; });
  std::erase_if(others.changes, [](const auto& change) { return change.key == "environment"; });
  if (!others.changes.empty())
    log::info("{}: {} has other changes, too; `liveswap reload` applies them", name, options_.config_file);
  rollout::UpgradeRequest wish;
  wish.pace = pace_of(options_);
  if (!plan.changes.empty()) {
    log::info("{}: {}", name, applied_text(plan));
    reload_ = PendingReload{request,      0,    plan, options_, tools_.worker.identity, engine_.fork_count(),
                            std::nullopt, false};
    Options next = options_;
    next.environment = found->options.environment;
    use(next, tools_.worker.identity);
    wish.profile = pool_.add_profile(worker_profile(), engine_.profile());
    wish.remark = applied_text(plan);
  }
  perform(engine_.upgrade(now(), request, wish));
}

}  // namespace liveswap::master
