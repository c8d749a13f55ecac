#include "master/keeping/orphans.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <fstream>

#include "base/text.hpp"
#include "master/state/envelope.hpp"
#include "protocol/keeper.hpp"
#include "release/store.hpp"

namespace liveswap::master {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds receive_limit{10};
// As many descriptors as a process can have.
constexpr std::size_t most_descriptors = 1U << 20;

struct Received {
  std::vector<UniqueFd> descriptors;
  UniqueFd state;  // empty: the keeper has none
};

Result<Received> receive_all(int link) {
  Received received;
  const auto until = Clock::now() + receive_limit;
  while (Clock::now() < until && received.descriptors.size() <= most_descriptors) {
    bool gone = false;
    auto frame = protocol::receive_from_keeper(link, true, gone);
    if (!frame) return fail(gone ? "liveswap-keeper has ended" : "liveswap-keeper does not answer");
    if (frame->cut)
      return fail("there are not enough descriptors for those of the former master (RLIMIT_NOFILE)");
    if (frame->head.kind == LIVESWAP_KEEPER_DESCRIPTORS) {
      for (auto& one : frame->descriptors) received.descriptors.push_back(std::move(one));
      continue;
    }
    if (frame->head.kind != LIVESWAP_KEEPER_STATE) continue;
    if (frame->descriptors.size() > 1 || frame->head.count != received.descriptors.size())
      return fail(fmt::format("liveswap-keeper has sent {} descriptors, expected {}",
                              received.descriptors.size(), frame->head.count));
    if (frame->descriptors.size() == 1) received.state = std::move(frame->descriptors.front());
    return received;
  }
  return fail("liveswap-keeper does not come to an end");
}

// The process of a pidfd; -1: it has ended and was reaped; 0: no pidfd.
pid_t process_of(int pidfd) {
  std::ifstream lines("/proc/self/fdinfo/" + std::to_string(pidfd));
  constexpr std::string_view name = "Pid:";
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(name))
      return number_in<pid_t>(std::string_view(line).substr(line.find_first_not_of(" \t", name.size())))
          .value_or(0);
  return 0;
}

Result<void> check_instance(const state::MasterState& state, const Options& options) {
  if (state.options.state_dir != options.state_dir || state.options.port != options.port)
    return fail(fmt::format("they are of the instance on port {} in {}", state.options.port,
                            state.options.state_dir));
  const auto& release = state.engine.release;
  if (!release::Store(options.state_dir).has(release.id, release.path))
    return fail(fmt::format("the store does not have their release {}", short_id(release.id)));
  for (const auto& worker : state.workers)
    if (const pid_t found = process_of(worker.pidfd.number); found != worker.pid && found != -1)
      return fail(fmt::format("the descriptor of process {} is of process {}", worker.pid, found));
  return {};
}

}  // namespace

Result<std::optional<Orphans>> take_orphans(UniqueFd link, const Options& options) {
  if (!protocol::send_to_keeper(link.get(), {LIVESWAP_KEEPER_ADOPT, 0, 0}, "", nullptr, 0))
    return fail("liveswap-keeper has ended");
  auto received = receive_all(link.get());
  if (!received) return tl::unexpected<Error>(received.error());
  if (!received->state) return std::nullopt;
  auto state = state::read(received->state.get());
  if (!state) return tl::unexpected<Error>(state.error());
  if (state->at_rest) return fail("the state is for a re-execution");
  if (auto taken = state::take_descriptors(*state, received->descriptors); !taken)
    return tl::unexpected<Error>(taken.error());
  auto fits = state::check_descriptors(*state);
  if (fits) fits = check_instance(*state, options);
  if (!fits) {
    state::close_descriptors(*state);
    return tl::unexpected<Error>(fits.error());
  }
  return Orphans{std::move(*state), std::move(link)};
}

void let_orphans_leave(const Options& options) {
  const auto link = protocol::connect_keeper(options.state_dir);
  if (!link || !*link) return;
  protocol::send_to_keeper(link->get(), {LIVESWAP_KEEPER_LEAVE, 0, 0}, "", nullptr, 0);
  bool gone = false;
  for (int frames = 0; frames < 16 && protocol::receive_from_keeper(link->get(), true, gone); ++frames)
    continue;
}

}  // namespace liveswap::master
