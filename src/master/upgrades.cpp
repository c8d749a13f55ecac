#include "json/parse.hpp"
#include "master/master.hpp"

// The steps of an upgrade besides workers: preparation, commit, flip of the sockets, and the removal of old
// releases.
namespace liveswap::master {

// Probes the old release first: if the probes fail then, the engine does not blame the new release.
void Master::carry_out(const rollout::Prepare& command) {
  carry_out(rollout::CancelPrepare{});  // of the previous upgrade, if an exception interrupted that
  health_rounds_.before_preparation([this, path = command.path] { begin_preparation(path); });
}

void Master::begin_preparation(const std::string& value) {
  store_tasks_.stop_collecting();
  const bool start = engine_.generation() == 0;
  preparation_ = std::make_unique<Preparation>(
      loop_, tools_, value.empty() ? engine_.release().path : value,
      start ? std::nullopt : std::optional(value), [this](const Preparation::Outcome& release) {
        const auto ended = std::move(preparation_);
        guarded([&] {
          if (release) soundness_.note_seal(*release, ended->seal());
          if (release) known_runtimes_.note(release->id, json::parse_or_null(ended->runtime()));
          if (release) return perform(engine_.prepared(now(), *release, ended->remark()));
          const auto& failure = release.error();
          perform(failure.unfit ? engine_.unfit(now(), failure.text)
                                : engine_.prepare_failed(now(), failure.text));
        });
      });
}

void Master::carry_out(const rollout::CancelPrepare&) {
  health_rounds_.cancel();
  if (preparation_) preparation_->cancel(dying_);
  preparation_.reset();
}

void Master::carry_out(const rollout::Commit& command) {
  if (auto* receipt = receipts_.of_upgrade()) receipt->phase(now(), "committing");
  listener_files_.mend();
  const rollout::Release release = command.release;
  const auto written = record_.write(release);
  if (written) {
    note_committed(release, engine_.release(), engine_.upgrading().value_or(0));
    return perform(engine_.committed(now()));
  }
  const rollout::Release before = engine_.release();
  const auto request = engine_.upgrading().value_or(0);
  perform(engine_.commit_failed(now(), written.error().text));
  if (engine_.release() != release) return;
  // A rollback: the engine has committed it although the record could not be written.
  note_committed(release, before, request);
  record_.write_later(written.error().text);
}

void Master::carry_out(const rollout::Flip&) {
  if (const auto flipped = listeners_.flip(); flipped) pending_flip_.begin();
  else perform(engine_.flip_failed(now(), flipped.error().text));
}

// Removes old receipts, and the stored releases that no worker runs and that are too old for a rollback.
void Master::collect() {
  if (preparation_ || !resolver_.is_idle() || !soundness_.is_idle() || engine_.under_way()) return;
  std::set<std::string> keep{engine_.release().id};
  for (const auto& [id, worker] : engine_.workers()) keep.insert(worker.release.id);
  const auto own = committed_.newest(options_.keep_releases);
  for (const auto& one : own) keep.insert(one.id);
  soundness_.keep_only(keep);
  store_tasks_.collect(keep, options_.keep_releases - own.size());
}

}  // namespace liveswap::master
