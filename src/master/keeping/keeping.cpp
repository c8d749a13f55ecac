#include "master/keeping/keeping.hpp"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <map>

#include "base/log.hpp"
#include "master/state/envelope.hpp"
#include "protocol/keeper.hpp"

namespace liveswap::master {
namespace {

constexpr Milliseconds try_again{20};
constexpr Milliseconds first_pause{1'000}, longest_pause{60'000};
// If keeping a state takes long, as with hundreds of workers, the pause before the next time is so much
// longer.
constexpr std::chrono::microseconds long_time{1'000};
constexpr int share = 8;
constexpr int leave_limit_ms = 2'000;

// Of this thread: other processes do not count.
std::chrono::microseconds processor_time() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::seconds(time.tv_sec) +
                                                               std::chrono::nanoseconds(time.tv_nsec));
}

std::uint32_t target_of(int place, const std::map<int, std::uint32_t>& places) {
  if (place == 1) return LIVESWAP_KEEPER_STDOUT;
  if (place == 2) return LIVESWAP_KEEPER_STDERR;
  const auto found = places.find(place);
  return found == places.end() ? LIVESWAP_KEEPER_STDERR : found->second;
}

// The outputs, for the keeper, which does not read the document.
std::string outputs_of(const state::MasterState& state, const std::vector<int>& fds) {
  std::map<int, std::uint32_t> places;
  for (std::uint32_t i = 0; i < fds.size(); ++i) places[fds[i]] = i;
  std::string text;
  const auto add = [&](const state::OutputState& output) {
    for (const auto& stream : output.streams) {
      const auto reader = places.find(stream.reader.number);
      if (reader == places.end() || text.size() + sizeof(liveswap_keeper_output) > LIVESWAP_KEEPER_TEXT_MAX)
        continue;
      const liveswap_keeper_output one{reader->second, target_of(stream.place, places)};
      text.append(reinterpret_cast<const char*>(&one), sizeof one);
    }
  };
  for (const auto& worker : state.workers) add(worker.output);
  for (const auto& output : state.left_outputs) add(output);
  return text;
}

}  // namespace

Keeping::Keeping(uv_loop_t& loop, Settings settings)
    : loop_(loop), settings_(std::move(settings)), timer_(loop), pause_(first_pause) {
  timer_.on_due([this] { settings_.due(); });
}

void Keeping::adopt(UniqueFd link) {
  link_ = std::move(link);
  watch();
}

void Keeping::watch() {
  poll_.emplace(loop_, link_.get());
  poll_->start(UV_READABLE, [this](int) { on_link(); });
}

// The keeper says nothing but that it could not take a state.
void Keeping::on_link() {
  for (;;) {
    bool gone = false;
    const auto frame = protocol::receive_from_keeper(link_.get(), false, gone);
    if (gone) return lose("it has ended");
    if (!frame) return;
    if (frame->head.kind == LIVESWAP_KEEPER_REFUSED)
      log::seldom(
          {"states that the keeper refuses"}, log::Level::error,
          "the keeper could not take all descriptors, so a next master could not go on: raise the limit on "
          "descriptors (RLIMIT_NOFILE)");
  }
}

void Keeping::lose(const std::string& why) {
  poll_.reset();
  link_.reset();
  kept_.clear();
  log::warning("liveswap-keeper: {}; another one is started", why);
  start_later();
  settings_.due();
}

void Keeping::start_later() {
  next_keeper_ = now() + pause_;
  timer_.start(pause_);
  pause_ = std::min(2 * pause_, longest_pause);
}

// Starts a keeper, if there is none.
bool Keeping::is_there() {
  if (link_ || start_ || now() < next_keeper_) return static_cast<bool>(link_);
  auto started = KeeperStart::begin(loop_, settings_.program, settings_.state_dir,
                                    [this](Result<UniqueFd> link) { on_started(std::move(link)); });
  if (started) start_ = std::move(*started);
  else on_started(tl::unexpected<Error>(started.error()));
  return false;
}

void Keeping::on_started(Result<UniqueFd> link) {
  start_.reset();
  if (link) {
    adopt(std::move(*link));
    return settings_.due();
  }
  log::seldom({"keepers that cannot be started"}, log::Level::warning,
              "{}: if this master is killed, its workers drain and leave", link.error().text);
  start_later();
}

Milliseconds Keeping::pause_left() const {
  const bool is_paused = link_ && now() < next_ && settings_.wait() != Milliseconds{0};
  return is_paused ? next_ - now() : Milliseconds{0};
}

bool Keeping::keep() {
  const auto left = pause_left();
  if (left <= Milliseconds{0}) return keep_at_once();
  timer_.start(left);
  return false;
}

bool Keeping::keep_at_once() {
  if (settings_.program.empty()) return true;
  if (settings_.wait() == Milliseconds{0}) {
    dismiss();
    return true;
  }
  if (!is_there()) return true;
  const auto begin = processor_time();
  const bool is_kept = send_current();
  const auto took = processor_time() - begin;
  if (took > long_time) next_ = now() + std::chrono::ceil<Milliseconds>(share * took);
  return is_kept;
}

bool Keeping::send_current() {
  auto state = settings_.save();
  if (!state) return true;
  std::string document = state::document_of(*state);
  if (document == kept_ && wait_ == settings_.wait()) return true;
  if (!send(*state, document)) {
    timer_.start(try_again);
    return false;
  }
  kept_ = std::move(document);
  wait_ = settings_.wait();
  return true;
}

bool Keeping::send(const state::MasterState& state, const std::string& document) {
  const auto& fds = state.descriptors;
  const auto file = state::write_document(document);
  if (!file) {
    log::seldom({"states that cannot be kept"}, log::Level::warning, "{}", file.error().text);
    return false;
  }
  for (std::size_t at = 0; at < fds.size(); at += LIVESWAP_KEEPER_DESCRIPTORS_MAX) {
    const auto count = std::min<std::size_t>(fds.size() - at, LIVESWAP_KEEPER_DESCRIPTORS_MAX);
    // count 1: the first part; what a broken off attempt has left is forgotten.
    const liveswap_keeper_frame part{LIVESWAP_KEEPER_DESCRIPTORS, at == 0 ? 1U : 0U, 0};
    if (!protocol::send_to_keeper(link_.get(), part, "", fds.data() + at, count)) return false;
  }
  const liveswap_keeper_frame frame{LIVESWAP_KEEPER_STATE, static_cast<std::uint32_t>(fds.size()),
                                    settings_.wait().count()};
  const int fd = file->get();
  return protocol::send_to_keeper(link_.get(), frame, outputs_of(state, fds), &fd, 1);
}

// The keeper leaves; nothing waits for it.
void Keeping::dismiss() {
  if (!link_) return;
  timer_.stop();
  protocol::send_to_keeper(link_.get(), {LIVESWAP_KEEPER_END, 0, 0}, "", nullptr, 0);
  poll_.reset();
  link_.reset();
  kept_.clear();
}

void Keeping::end() {
  start_.reset();
  if (!link_) return;
  poll_.reset();
  protocol::send_to_keeper(link_.get(), {LIVESWAP_KEEPER_END, 0, 0}, "", nullptr, 0);
  const auto until = now() + Milliseconds{leave_limit_ms};
  for (bool gone = false; !gone && now() < until;) {
    pollfd end{link_.get(), POLLIN, 0};
    ::poll(&end, 1, static_cast<int>((until - now()).count()));
    protocol::receive_from_keeper(link_.get(), false, gone);
  }
  dismiss();
}

}  // namespace liveswap::master
