#include "master/preparation/preparation.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/file.hpp"
#include "base/log.hpp"
#include "base/tail.hpp"
#include "base/text.hpp"
#include "json/fields.hpp"
#include "json/parse.hpp"
#include "release/loaded.hpp"
#include "release/store.hpp"
#include "spawn/obstacle.hpp"
#include "spawn/worker_host.hpp"

namespace liveswap::master {
namespace {

using Kind = Task::Result::Kind;
using Json = nlohmann::json;

// The names of the private libraries.
std::string companions(const Json& answer) {
  std::string names;
  for (const auto& name : json::list(answer, "private_libraries"))
    if (name.is_string()) names += (names.empty() ? ", with " : ", ") + name.get<std::string>();
  return names;
}

// What follows `head` in the line of an answer that begins with it; empty: there is none.
std::string line_of(const std::string& answer, const std::string& head) {
  std::istringstream lines(answer);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(head)) return line.substr(head.size());
  return "";
}

}  // namespace

Preparation::Preparation(uv_loop_t& loop, const Tools& tools, std::string asked,
                         const std::optional<std::string>& value, Done done)
    : loop_(loop), tools_(tools), release_{std::move(asked), {}}, done_(std::move(done)) {
  if (tools_.plugin.empty() || !value) {
    take();
    return;
  }
  spawn::Request request = tools_.worker;
  request.arguments = {"liveswap-worker", "--pre-upgrade", tools_.plugin, *value};
  run("pre-upgrade plugin", std::move(request), tools_.plugin_limit,
      [this](const Task::Result& result) { after_plugin(result); });
}

void Preparation::cancel(std::list<std::unique_ptr<Task>>& dying) {
  done_ = nullptr;
  if (!task_) return;
  dying.push_front(std::move(task_));
  const auto place = dying.begin();
  (*place)->cancel([&dying, place] { dying.erase(place); });
}

void Preparation::run(const char* name, spawn::Request request, Milliseconds limit, Task::Done next) {
  // Replaces the previous step's task, which has ended.
  task_ = std::make_unique<Task>(loop_, name, std::move(request), limit,
                                 [this, next = std::move(next)](const Task::Result& result) {
                                   const bool done = guarded([&] { next(result); });
                                   // done_ never throws, so this object still exists.
                                   if (!done && done_)
                                     give_up("an error inside the master cut the preparation off", false);
                                 });
}

void Preparation::after_plugin(const Task::Result& result) {
  const std::string plugin = fmt::format("the pre-upgrade plugin {}", tools_.plugin);
  if (result.kind == Kind::failed)
    return fail_step(plugin + " cannot be used", result, tools_.plugin_limit, true);
  if (result.kind == Kind::refused) return fail_step(plugin + " refused", result, tools_.plugin_limit, true);
  if (result.kind != Kind::done) return fail_step(plugin, result, tools_.plugin_limit, true);
  if (result.text.find('\0') != std::string::npos || result.text.find('\n') != std::string::npos)
    return give_up(plugin + " gave a path with a line break or NUL in it", true);
  if (!result.text.empty()) release_.path = absolute_path(result.text, tools_.there);
  take();
}

void Preparation::take() {
  spawn::Request request = tools_.store;
  request.arguments.insert(request.arguments.end(),
                           {"take", tools_.state_dir, ::geteuid() == 0 ? "1" : "0", release_.path});
  run("store", std::move(request), tools_.check_limit,
      [this](const Task::Result& result) { after_take(result); });
}

void Preparation::after_take(const Task::Result& result) {
  if (result.kind == Kind::refused) return fail_step("stage open", result, tools_.check_limit, true);
  // Without a stage the process has told nothing: it was killed, stopped, or busy to its limit.
  const std::string step = result.stage.empty() ? "taking it into the store" : "stage " + result.stage;
  if (result.kind != Kind::done) return fail_step(step, result, tools_.check_limit, false);
  const Json answer = json::parse_or_null(result.text);
  release_.id = json::text_or_empty(answer, "id");
  seal_ = json::text_or_empty(answer, "seal");
  // Not the answer's "file": JSON cannot represent every path.
  file_ = release::Store(tools_.state_dir).file(release_.id, release_.path);
  if (release_.id.empty()) return give_up("the store gave an invalid answer: " + result.text, false);
  log::info("release {}: {} taken into the store ({}){}", short_id(release_.id), release_.path,
            json::text_or_empty(answer, "how"), companions(answer));
  spawn::Request request = tools_.worker;
  request.arguments = {"liveswap-worker", "--check"};
  if (tools_.entry != default_entry)
    request.arguments.insert(request.arguments.end(), {"--entry", tools_.entry});
  request.arguments.insert(request.arguments.end(), tools_.launch.begin(), tools_.launch.end());
  request.arguments.push_back(file_);
  spawn::add_library_path(request.environment, release::Store::needed(file_));
  request.arguments.insert(request.arguments.end(), tools_.arguments.begin(), tools_.arguments.end());
  run("check", std::move(request), tools_.check_limit,
      [this](const Task::Result& next) { after_check(next); });
}

void Preparation::after_check(const Task::Result& result) {
  if (result.kind != Kind::done) {
    // The requester knows the file by its own path.
    Task::Result named = result;
    for (auto at = named.text.find(file_); at != std::string::npos;
         at = named.text.find(file_, at + release_.path.size()))
      named.text.replace(at, file_.size(), release_.path);
    // The store may have become inaccessible since the start.
    if (const auto found = spawn::obstacle(file_, tools_.worker.identity, "--state-dir"))
      named.text += ": " + *found;
    // The check failed before it loaded the file: the workers' user cannot open the file, or the file is no
    // shared library.
    const bool unfit = result.kind == Kind::failed && result.reached == "open";
    const std::string step = result.stage.empty() ? "preflight" : "preflight, stage " + result.stage;
    return fail_step(step, named, tools_.check_limit, unfit);
  }
  remark_ = release::outside_remark(result.text, std::filesystem::path(file_).parent_path().string());
  const std::string runtime = line_of(result.text, "!runtime ");
  if (runtime.empty()) return succeed();
  spawn::Request request = tools_.store;
  request.arguments.insert(request.arguments.end(), {"runtime", tools_.state_dir, release_.id, runtime,
                                                     line_of(result.text, "!version ")});
  run("store", std::move(request), tools_.check_limit,
      [this](const Task::Result& next) { after_runtime(next); });
}

void Preparation::after_runtime(const Task::Result& result) {
  if (result.kind != Kind::done) return fail_step("recording the runtime", result, tools_.check_limit, false);
  runtime_ = result.text;
  succeed();
}

void Preparation::succeed() {
  const auto done = std::move(done_);
  done(release_);
}

void Preparation::give_up(const std::string& text, bool unfit) {
  const auto done = std::move(done_);
  done(tl::unexpected<Failure>(Failure{{text}, unfit}));
}

void Preparation::fail_step(const std::string& what, const Task::Result& result, Milliseconds limit,
                            bool unfit) {
  const auto fail_with = [&](const std::string& why) {
    give_up(with_output(fmt::format("{}: {}", what, why), result.output), unfit);
  };
  switch (result.kind) {
    case Kind::done:
    case Kind::refused:
    case Kind::failed:
    case Kind::unstarted: return fail_with(result.text);
    case Kind::silent: return fail_with("it ended without an answer: " + result.text);
    case Kind::late: return fail_with(fmt::format("it took longer than its limit of {} ms", limit.count()));
  }
}

}  // namespace liveswap::master
