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

void merge(Measured& into, const load::Accounting& books) {
  for (const auto& phase : books.phases) {
    if (phase.tally.attempts == 0) continue;
    auto found = std::find_if(into.phases.begin(), into.phases.end(),
                              [&](const auto& known) { return known.name == name_of(phase); });
    if (found == into.phases.end()) found = into.phases.insert(into.phases.end(), {name_of(phase), {}});
    found->tally.add(phase.tally);
  }
  into.total.add(books.total);
}

}  // namespace

// A runner and its thread.
struct Clients::Crew {
  explicit Crew(const load::Options& given)
      : options(given), books(given.bucket), runner(options, books, [this](const std::string& line) {
          if (line.starts_with("first answer")) answered = true;
        }) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return;
    options.commands = ends[0];
    read_end = UniqueFd::adopt(ends[0]);
    write_end = UniqueFd::adopt(ends[1]);
    thread = std::thread([this] { outcome = runner.run(); });
  }
  ~Crew() { finish(); }

  void tell(const std::string& line) const {
    [[maybe_unused]] const ssize_t written = ::write(write_end.get(), line.data(), line.size());
  }
  // End of file on the command pipe stops the runner.
  void finish() {
    write_end.reset();
    if (thread.joinable()) thread.join();
  }

  load::Options options;
  load::Accounting books;
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

void Clients::add(const load::Options& options) { crews_.push_back(std::make_unique<Crew>(options)); }

Result<std::unique_ptr<Clients>> Clients::start(const Orders& orders) {
  auto target = load::parse_target(
      (orders.connect ? "tcp://" : "http://") + orders.address + (orders.connect ? "" : orders.path), "",
      false);
  if (!target) return tl::unexpected<Error>(target.error());
  if (orders.connect) target->protocol = load::Protocol::close;
  const std::size_t descriptors = raise_descriptors();
  std::unique_ptr<Clients> clients(new Clients);
  const unsigned kept = orders.connect ? 0 : orders.count / 2;
  load::Options options = common_options(*target, descriptors);
  if (kept > 0) {
    options.rate = kept * rate_of_client;
    options.keep_alive = true;
    options.connections = kept;
    clients->add(options);
  }
  options = common_options(*target, descriptors);
  options.rate = (orders.count - kept) * rate_of_client;
  // TIME_WAIT blocks a port for a minute: many clients need several source addresses.
  options.sources = options.rate > 300 ? 32 : 0;
  clients->add(options);
  return clients;
}

Clients::~Clients() = default;

void Clients::mark(const std::string& phase) {
  for (const auto& crew : crews_) crew->tell("mark " + phase + "\n");
}

bool Clients::answered() const {
  return std::all_of(crews_.begin(), crews_.end(), [](const auto& crew) { return crew->answered.load(); });
}

Measured Clients::stop() {
  Measured measured;
  for (const auto& crew : crews_) crew->write_end.reset();
  for (const auto& crew : crews_) {
    crew->finish();
    if (!crew->read_end) measured.faults.push_back("cannot make a pipe");
    if (!crew->outcome) measured.faults.push_back(crew->outcome.error().text);
    if (const auto mismatch = crew->books.mismatch())
      measured.faults.push_back("the books of the clients do not match: " + *mismatch);
    merge(measured, crew->books);
    measured.garbage += crew->runner.connections().idle_garbage;
    for (const load::Failed& one : crew->books.failed)
      measured.losses.push_back({name_of(crew->books.phases[one.phase]), crew->runner.start() + one.ended,
                                 one.port, fmt::format("{}: {}", load::name_of(one.outcome), one.reason)});
  }
  std::sort(measured.losses.begin(), measured.losses.end(),
            [](const Loss& a, const Loss& b) { return a.ended < b.ended; });
  // Closes the connections, as a drain would wait for them.
  crews_.clear();
  return measured;
}

}  // namespace liveswap::verify
