#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "base/descriptors.hpp"
#include "base/ignored_signals.hpp"
#include "base/log.hpp"
#include "base/log_texts.hpp"
#include "base/text.hpp"
#include "liveswap.hpp"
#include "master/master.hpp"
#include "master/programs.hpp"
#include "master/state/archive.hpp"
#include "master/state/envelope.hpp"
#include "master/state/image.hpp"
#include "master/uv/own_loop.hpp"

// The beginning of a program that has been executed in place of another one, and the trial before that.
namespace liveswap {
namespace {

namespace state = master::state;

struct Readable {
  state::MasterState state;
  master::Programs programs;
};

// All that can fail in the next image, and what a trial tries: the state, its descriptors, and the programs
// that this one starts.
Result<Readable> read_all(int file) {
  auto read = state::read(file);
  if (!read) return tl::unexpected<Error>(read.error());
  if (auto open = state::check_descriptors(*read); !open) return tl::unexpected<Error>(open.error());
  auto programs = master::find_programs(read->options, read->log.number);
  if (!programs) return fail(programs.error().text);
  return Readable{std::move(*read), std::move(*programs)};
}

Outcome try_state(const std::string& number) {
  const auto file = number_in<int>(number);
  if (!file || *file < 0) return {usage, "--read-state: expected the number of a descriptor"};
  if (const auto read = read_all(*file); !read) return {failed, read.error().text};
  // A program that ignores its arguments ends with 0, too.
  std::fprintf(stderr, "%s\n", state::is_readable);
  return {ok, {}};
}

Outcome go_on(Readable& from, master::OwnLoop& loop, const std::string& failure) {
  auto& state = from.state;
  const auto& options = state.options;
  const ManyDescriptors many;
  const rlimit files{state.descriptors_soft, state.descriptors_hard};
  const auto complete = master::completion_for(options);
  log::complete_with(complete);
  const protocol::Instance instance{options.port, options.state_dir, options.runtime_dir};
  master::Master master(loop.get(), options,
                        master::InstanceLock::adopt(UniqueFd::adopt(state.lock.number), instance),
                        master::Listeners::adopt(state.listeners),
                        master::worker_request(options, from.programs, files), from.programs.store, files);
  master.keep_with(from.programs.keeper);
  Outcome outcome = master.resume(state, failure);
  outcome.text = complete(outcome.text);
  return outcome;
}

}  // namespace

std::optional<Outcome> resume(const std::vector<std::string>& command_line,
                              const std::function<void(Options&)>& complete) {
  if (command_line.size() == 3 && command_line[1] == "--read-state") return try_state(command_line[2]);
  auto handed = state::inherited();
  if (!handed) return std::nullopt;
  const IgnoredSignals ignored;
  auto from = read_all(handed->state.get());
  master::OwnLoop loop;
  if (!from || !loop.usable()) {
    const std::string why = from ? "it cannot make an event loop" : from.error().text;
    state::go_back(*handed, command_line, why);
    return Outcome{failed, why};
  }
  if (from->state.log.number >= 0) log::adopt_file(from->state.log.number, from->state.options.log_file);
  state::keep_from_children(state::descriptors_of(from->state));
  handed->state.reset();
  handed->former.reset();
  if (complete) complete(from->state.options);
  return go_on(*from, loop, handed->failure);
}

}  // namespace liveswap
