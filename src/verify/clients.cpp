#include "verify/clients.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <thread>

#include "load/runner.hpp"
#include "verify/task.hpp"

namespace liveswap::verify {
namespace {

using std::chrono::seconds;

constexpr load::Time longest_run = std::chrono::hours(24);
constexpr std::size_t most_connections = 4096;

// Raises this process's descriptor limit. The application has already started with the old one.
std::size_t raise_descriptors() {
  constexpr std::size_t spare = 64;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur > 2 * spare ? limit.rlim_cur - spare : spare;
}

// Accepts every status below 500: only those report a server failure.
std::set<int> statuses_that_are_fine() {
  std::set<int> statuses;
  for (int status = 100; status < 500; ++status) statuses.insert(status);
  return statuses;
}

load::Options common_options(const load::Target& target, std::size_t descriptors) {
  load::Options options;
  options.target = target;
  options.duration = longest_run;
  options.timeout = seconds(5);
  // Also for kept connections: a slow server has many requests in flight.
  options.most_connections = std::min(descriptors / 2, most_connections);
  options.expectations.statuses = statuses_that_are_fine();
  options.expectations.by_status = true;
  options.expectations.same_body = false;
  options.stops_on_signal = false;
  options.bucket = seconds(1);
  return options;
}

// The phase before the first mark.
std::string name_of(const load::Phase& phase) { return phase.start == load::Time{} ? "start" : phase.name; }

void merge(Measured& into, const load::Accounting& accounting) {
  for (const auto& phase : accounting.phases) {
    if (phase.tally.attempts == 0) continue;
    auto found = std::find_if(into.phases.begin(), into.phases.end(),
                              [&](const auto& known) { return known.name == name_of(phase); });
    if (found == into.phases.end()) found = into.phases.insert(into.phases.end(), {name_of(phase), {}});
    found->tally.add(phase.tally);
  }
  into.total.add(accounting.total);
}

}  // namespace

// A runner and its thread.
struct Clients::Generator {
  explicit Generator(const load::Options& given)
      : options(given),
        accounting(given.bucket),
        runner(options, accounting, [this](const std::string& line) {
          if (line.starts_with("first answer")) answered = true;
        }) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return;
    options.commands = ends[0];
    read_end = UniqueFd::adopt(ends[0]);
    write_end = UniqueFd::adopt(ends[1]);
    thread = std::thread([this] { outcome = runner.run(); });
  }
  ~Generator() { finish(); }

  void tell(const std::string& line) const {
    [[maybe_unused]] const ssize_t written = ::write(write_end.get(), line.data(), line.size());
  }
  // End of file on the command pipe stops the runner.
  void finish() {
    write_end.reset();
    if (thread.joinable()) thread.join();
  }

  load::Options options;
  load::Accounting accounting;
  std::atomic<bool> answered = false;
  load::Runner runner;
  UniqueFd read_end, write_end;
  Result<void> outcome;
  std::thread thread;
};

const load::Tally* Measured::find(const std::string& name) const {
  for (const Phase& phase : phases)
    if (phase.name == name) return &phase.tally;
  return nullptr;
}

void Clients::add(const load::Options& options) {
  generators_.push_back(std::make_unique<Generator>(options));
}

Result<std::unique_ptr<Clients>> Clients::start(const Settings& settings) {
  auto target = load::parse_target(
      (settings.connect ? "tcp://" : "http://") + settings.address + (settings.connect ? "" : settings.path),
      "", false);
  if (!target) return tl::unexpected<Error>(target.error());
  if (settings.connect) target->protocol = load::Protocol::close;
  const std::size_t descriptors = raise_descriptors();
  std::unique_ptr<Clients> clients(new Clients);
  const unsigned kept = settings.connect ? 0 : settings.count / 2;
  load::Options options = common_options(*target, descriptors);
  if (kept > 0) {
    options.rate = kept * rate_of_client;
    options.keep_alive = true;
    options.connections = kept;
    clients->add(options);
  }
  options = common_options(*target, descriptors);
  options.rate = (settings.count - kept) * rate_of_client;
  // TIME_WAIT blocks a port for a minute: many clients need several source addresses.
  options.sources = options.rate > 300 ? 32 : 0;
  clients->add(options);
  return clients;
}

Clients::~Clients() = default;

void Clients::mark(const std::string& phase) {
  for (const auto& generator : generators_) generator->tell("mark " + phase + "\n");
}

bool Clients::answered() const {
  return std::all_of(generators_.begin(), generators_.end(),
                     [](const auto& generator) { return generator->answered.load(); });
}

Measured Clients::stop() {
  Measured measured;
  for (const auto& generator : generators_) generator->write_end.reset();
  for (const auto& generator : generators_) {
    generator->finish();
    if (!generator->read_end) measured.faults.push_back("cannot make a pipe");
    if (!generator->outcome) measured.faults.push_back(generator->outcome.error().text);
    if (const auto mismatch = generator->accounting.mismatch())
      measured.faults.push_back("the counts of the clients do not match: " + *mismatch);
    merge(measured, generator->accounting);
    measured.garbage += generator->runner.connections().idle_garbage;
    for (const load::Failed& one : generator->accounting.failed)
      measured.losses.push_back({name_of(generator->accounting.phases[one.phase]),
                                 generator->runner.start() + one.ended, one.port,
                                 fmt::format("{}: {}", load::name_of(one.outcome), one.reason)});
  }
  std::sort(measured.losses.begin(), measured.losses.end(),
            [](const Loss& a, const Loss& b) { return a.ended < b.ended; });
  // Closes the connections, as a drain would wait for them.
  generators_.clear();
  return measured;
}

}  // namespace liveswap::verify
