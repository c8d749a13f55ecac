// run-command: a pre-upgrade plugin that runs a shell command, which may choose the path of the upgrade.
//
//   LIVESWAP_RUN_COMMAND   the command, for /bin/sh -c; from the environment of the master
//
// LIVESWAP_VALUE contains the requested path, or is empty. The last non-blank line of standard output,
// without white space around it, is the new path; without such a line, the path stays. Commands with other
// output on standard output must redirect that:
//
//   LIVESWAP_RUN_COMMAND='git pull --quiet && ninja -C build >&2 && echo build/libapp.so'
//
// Both outputs go to the log. A non-zero exit status refuses the upgrade, with the last lines of standard
// error. Blocks the host's thread until the shell exits; --pre-upgrade-limit applies.
#define LIVESWAP_WEAK
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>
#include <string_view>
#include <utility>

#include "command.hpp"
#include "liveswap_plugin.h"

namespace {

constexpr std::size_t error_limit = 4096;
constexpr std::size_t command_limit = 200;

// The plugin's answer: error or path.
struct Answer {
  std::string error;
  std::string path;
};

void write_log(int level, const Lines::Line& line) {
  const std::string text = line.text + (line.cut ? " …" : "");
  if (liveswap_log) return liveswap_log(level, text.c_str());
  const std::string ended = text + '\n';
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, ended.data(), ended.size());
}

std::string last_of(const Lines& lines) {
  std::string text;
  for (auto line = lines.last().rbegin(); line != lines.last().rend(); ++line) {
    if (text.size() + line->text.size() > error_limit) break;
    text = "\n" + line->text + text;
  }
  return text.empty() ? "" : ":" + text;
}

std::string how(int status) {
  if (WIFEXITED(status)) return "ended with exit status " + std::to_string(WEXITSTATUS(status));
  const char* name = ::sigabbrev_np(WTERMSIG(status));
  return "was ended by " + (name ? "SIG" + std::string(name) : "signal " + std::to_string(WTERMSIG(status)));
}

std::string shown(std::string_view command) {
  const auto text = trimmed(command);
  return "\"" + std::string(text.substr(0, command_limit)) + (text.size() > command_limit ? "…\"" : "\"");
}

bool is_path(std::string_view text) {
  for (const char c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
  return true;
}

Answer refuse(std::string error) { return {std::move(error), ""}; }

Answer answer_from(const Lines& out) {
  if (out.last().empty()) return {};
  const auto& line = out.last().back();
  const auto path = trimmed(line.text);
  if (line.cut)
    return refuse("the last line of the command has more than " + std::to_string(Lines::line_limit) +
                  " bytes, expected a path");
  if (!is_path(path))
    return refuse(
        "the last line of the command has control characters, expected a path: send other output to "
        "standard error with >&2");
  return {"", std::string(path)};
}

Answer ask(const char* value) {
  const char* command = std::getenv("LIVESWAP_RUN_COMMAND");
  if (!command || trimmed(command).empty())
    return refuse("LIVESWAP_RUN_COMMAND is not set: start the master with a shell command in it");
  Lines out([](const Lines::Line& line) { write_log(LIVESWAP_INFO, line); });
  Lines err([](const Lines::Line& line) { write_log(LIVESWAP_WARNING, line); });
  const Ending ending = run_command(command, value, out, err);
  if (!ending.problem.empty()) return refuse(ending.problem);
  if (ending.status != 0)
    return refuse("the command " + shown(command) + " " + how(ending.status) + last_of(err));
  return answer_from(out);
}

}  // namespace

extern "C" void liveswap_preupgrade(const char* value, liveswap_done done, void* ctx) {
  Answer answer;
  try {
    answer = ask(value);
  } catch (const std::exception& failure) {
    return done(ctx, failure.what(), nullptr);
  }
  done(ctx, answer.error.empty() ? nullptr : answer.error.c_str(),
       answer.path.empty() ? nullptr : answer.path.c_str());
}
