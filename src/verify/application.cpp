#include "verify/application.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>

#include <deque>
#include <fstream>

#include "json/fields.hpp"
#include "json/parse.hpp"

namespace liveswap::verify {
namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;
using std::chrono::seconds;

// Above the loading time plus the default or given --ready-limit; only a hanging master exceeds them.
constexpr Milliseconds start_limit = seconds(90), status_limit = seconds(5), upgrade_limit = seconds(180),
                       stop_limit = seconds(90), force_limit = seconds(5);

// Another process may take the port before the master binds it.
constexpr int start_attempts = 5;
constexpr std::size_t log_lines = 15;

std::uint16_t free_port() {
  const auto probe = UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(probe.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      ::getsockname(probe.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
    return 0;
  return ntohs(address.sin_port);
}

bool is_tcp(const std::string& address) { return address.find("unix:") != 0 && address.find("udp:") != 0; }

// Prefers the first TCP listener from --listen, then the first that the application bound, then any.
std::string address_of(const Json& listeners) {
  std::string own, any;
  for (const auto& listener : listeners) {
    std::string address = json::text_or_empty(listener, "address");
    if (any.empty()) any = address;
    if (!is_tcp(address)) continue;
    if (!json::is_true(listener, "application")) return address;
    if (own.empty()) own = address;
  }
  return own.empty() ? any : own;
}

pid_t pid_of(const Json& object) {
  return static_cast<pid_t>(json::number(object, "pid", 0, INT32_MAX).value_or(0));
}

unsigned count_of(const Json& object, const char* name) {
  return static_cast<unsigned>(json::number(object, name, 0, UINT32_MAX).value_or(0));
}

// Members that a master of another version leaves out are empty.
Snapshot snapshot_of(const Json& status) {
  Snapshot result;
  result.state = json::text_or_empty(status, "state");
  result.head = json::text_or_empty(status, "head");
  const Json& slots = json::list(status, "slots");
  result.address = address_of(json::list(status, "listeners"));
  result.slots = slots.size();
  for (const auto& slot : slots) {
    result.restarts += count_of(slot, "restarts");
    for (const auto& worker : json::list(slot, "workers"))
      result.workers.push_back({count_of(slot, "slot"), pid_of(worker), json::text_or_empty(worker, "state"),
                                json::text_or_empty(worker, "release")});
  }
  return result;
}

// After a failed upgrade, new workers may end in any way.
std::vector<std::string> anomalies_in(const std::vector<Json>& events, bool succeeded) {
  std::vector<std::string> anomalies;
  std::set<int> forced;
  for (const Json& event : events) {
    const std::string kind = json::text_or_empty(event, "event");
    const pid_t pid = pid_of(event);
    if (kind == "forced" && forced.insert(pid).second)
      anomalies.push_back(fmt::format("worker {} did not drain in time and was ended by force", pid));
    else if (kind == "gone" && succeeded && !forced.contains(pid) && json::text(event, "end") == "crashed")
      anomalies.push_back(fmt::format("worker {} ended with {}", pid, json::text_or_empty(event, "exit")));
  }
  return anomalies;
}

}  // namespace

Application::Application(const Task& task, const Workplace& place, Interrupt& interrupt)
    : task_(task), interrupt_(interrupt), log_(place / "log") {
  where_.state_dir = place / "state";
  where_.runtime_dir = place / "run";
}

// SIGTERM drains; a second signal kills. Two pending signals of the same number would merge, so the second is
// another one.
Application::~Application() {
  interrupt_.set_handler({});
  if (!master_ || master_->ended()) return;
  master_->signal(SIGTERM);
  master_->signal(SIGINT);
  master_->ended(force_limit);
}

Client Application::client(Milliseconds limit) const {
  Client::Where where = where_;
  where.timeout = limit;
  return Client(where);
}

std::string Application::last_lines_of_log() const {
  std::ifstream file(log_);
  std::deque<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    lines.push_back(line);
    if (lines.size() > log_lines) lines.pop_front();
  }
  std::string text;
  for (const auto& line : lines) text += "\n  " + line;
  return text;
}

std::string Application::explain(const std::string& what) const {
  const std::string lines = last_lines_of_log();
  return what + (lines.empty() ? "" : "; its log:" + lines);
}

// False: another process took the port.
Result<bool> Application::try_start(std::uint16_t port) {
  where_.port = port;
  // On the command line, so that they override a configuration file: a master must write only to the
  // workplace.
  std::vector<std::string> words{task_.program,   "start",
                                 "--port",        std::to_string(port),
                                 "--state-dir",   where_.state_dir,
                                 "--head",        where_.state_dir + "/HEAD",
                                 "--runtime-dir", where_.runtime_dir,
                                 "--log-file",    log_};
  words.insert(words.end(), task_.start_options.begin(), task_.start_options.end());
  words.push_back(task_.library);
  if (!task_.arguments.empty()) words.push_back("--");
  words.insert(words.end(), task_.arguments.begin(), task_.arguments.end());
  interrupt_.set_handler({});
  master_.reset();
  auto child = Child::start(words, log_);
  if (!child) return tl::unexpected<Error>(child.error());
  master_.emplace(std::move(*child));
  interrupt_.set_handler([this] {
    master_->signal(SIGTERM);
    master_->signal(SIGINT);
  });
  const auto running = [this] {
    if (master_->ended()) return true;
    const auto now = snapshot();
    return now && now->state == "running" && now->whole();
  };
  const bool came = interrupt_.wait(start_limit, running);
  if (interrupt_.number() != 0) return fail("interrupted");
  if (!came) return fail(explain(fmt::format("no worker was ready after {} s", start_limit.count() / 1000)));
  if (!master_->ended()) return true;
  if (last_lines_of_log().find("in use") != std::string::npos) return false;
  return fail(explain(fmt::format("liveswap start ended ({})", master_->ending())));
}

Result<void> Application::start() {
  for (int attempt = 0; attempt < start_attempts; ++attempt) {
    const auto started = try_start(free_port());
    if (!started) return tl::unexpected<Error>(started.error());
    if (*started) return {};
  }
  return fail(explain("no free port was found"));
}

Result<Snapshot> Application::snapshot() const {
  const Outcome outcome = client(status_limit).status();
  if (outcome.status != ok) return fail(outcome.text);
  const Json status = json::parse_or_null(outcome.text);
  if (!status.is_object()) return fail("the status of the master is no JSON object");
  return snapshot_of(status);
}

Result<Snapshot> Application::wait_until(Milliseconds limit,
                                         const std::function<bool(const Snapshot&)>& condition) const {
  Result<Snapshot> last = snapshot();
  interrupt_.wait(limit, [&] {
    last = snapshot();
    return last && condition(*last);
  });
  return last;
}

Upgrade Application::upgrade(const std::string& path, const Client::Event& event) const {
  Upgrade result;
  result.to = path;
  std::vector<Json> events;
  const auto begun = Clock::now();
  result.outcome = client(upgrade_limit).upgrade(path, [&](const std::string& line) {
    auto one = json::parse_or_null(line);
    if (one.is_object()) events.push_back(std::move(one));
    if (event) event(line);
  });
  result.length = std::chrono::round<Milliseconds>(Clock::now() - begun);
  result.anomalies = anomalies_in(events, result.outcome.status == ok);
  return result;
}

Result<void> Application::stop() {
  const Outcome outcome = client(stop_limit).stop();
  if (outcome.status != ok) return fail("liveswap stop: " + outcome.text);
  if (!interrupt_.wait(force_limit, [this] { return master_->ended(); }))
    return fail("the master still ran 5 s after it had answered to stop");
  if (!master_->ended_well()) return fail(explain("the master ended with " + master_->ending()));
  return {};
}

}  // namespace liveswap::verify
