#include "check/trial.hpp"

#include <charconv>

#include "launch/resolve.h"
#include "spawn/worker_host.hpp"

namespace liveswap::checks {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t log_limit = 100;       // lines kept
constexpr std::size_t failure_limit = 2048;  // as much as a master accepts
constexpr std::size_t left_limit = 16;       // processes listed

void take_line(Trial& trial, std::string_view line) {
  const auto take = [&](std::string_view head, std::string& into) {
    if (line.starts_with(head)) into = line.substr(head.size());
  };
  if (!line.starts_with("!")) trial.loaded.emplace_back(line);
  take("!kind ", trial.kind);
  take("!runtime ", trial.runtime);
  take("!version ", trial.version);
}

void take_answer(Trial& trial, std::string_view text) {
  for (auto end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
    take_line(trial, text.substr(0, end));
    text.remove_prefix(end + 1);
  }
}

std::vector<std::string> launch_words(const CheckOptions& options) {
  std::vector<std::string> words;
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) words.insert(words.end(), {name, value});
  };
  add("--kind", options.kind);
  add("--start", options.start_file);
  std::string command;
  for (const auto& word : options.runtime.run)
    command += (command.empty() ? "=" : std::string(1, LAUNCH_SEPARATOR)) + word;
  add("--runtime", command);
  return words;
}

// "4711 name"
std::optional<LeftProcess> left_process(const liveswap_frame& frame, std::string_view text) {
  constexpr std::size_t longest_name = 64;
  LeftProcess process;
  const auto [end, bad] = std::from_chars(text.data(), text.data() + text.size(), process.pid);
  if (bad != std::errc{} || process.pid <= 0) return std::nullopt;
  const auto at = static_cast<std::size_t>(end - text.data());
  process.name = at < text.size() ? text.substr(at + 1, longest_name) : std::string_view();
  process.in_group = frame.value == 1;
  process.ended = true;
  return process;
}

}  // namespace

Result<Trial> run_trial(const std::string& host, const std::string& path, const CheckOptions& options) {
  spawn::Request request;
  request.program = host;
  request.arguments = {"liveswap-worker", "--check"};
  if (options.entry != "liveswap_main")
    request.arguments.insert(request.arguments.end(), {"--entry", options.entry});
  const auto words = launch_words(options);
  request.arguments.insert(request.arguments.end(), words.begin(), words.end());
  request.arguments.push_back(path);
  request.arguments.insert(request.arguments.end(), options.arguments.begin(), options.arguments.end());
  request.environment = spawn::child_environment(options.environment);

  Trial trial;
  std::vector<LeftProcess> left;
  const auto begin = Clock::now();
  auto loaded = begin;
  const auto since = [](Clock::time_point from) {
    return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - from);
  };
  const auto take = [&](const liveswap_frame& frame, std::string_view text) -> std::optional<Milliseconds> {
    switch (frame.kind) {
      case LIVESWAP_STAGED:
        trial.stage = frame.value;
        loaded = Clock::now();
        break;
      case LIVESWAP_FAILED:
        trial.stage = frame.value;
        trial.failure = text.substr(0, failure_limit);
        break;
      case LIVESWAP_LOG:
        if (trial.log.size() < log_limit) trial.log.emplace_back(text.substr(0, LIVESWAP_LOG_MAX));
        break;
      case LIVESWAP_LEFT:
        if (auto process = left_process(frame, text); process && left.size() < left_limit)
          left.push_back(*process);
        break;
      case LIVESWAP_TASK_DONE:
        if (trial.passed) break;  // a second frame does not extend the limit
        trial.passed = true;
        trial.threads = frame.count;
        take_answer(trial, text);
        trial.load = std::chrono::duration_cast<std::chrono::microseconds>(loaded - begin);
        trial.selftest = since(loaded);
        return exit_limit;
      default: break;  // not used by a check
    }
    return std::nullopt;
  };
  auto end = run_child(std::move(request), options.limit, take);
  if (!end) return tl::unexpected<Error>(end.error());
  trial.end = std::move(*end);
  trial.end.left.insert(trial.end.left.begin(), left.begin(), left.end());
  return trial;
}

}  // namespace liveswap::checks
