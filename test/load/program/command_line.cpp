#include "load/program/command_line.hpp"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cxxopts.hpp>

namespace liveswap::load {
namespace {

constexpr double most_rate = 200'000;

const char* const description =
    "Sends requests at a fixed rate and accounts for every one of them.\n"
    "\n"
    "A request is meant to be sent at a certain time, whatever became of those before; latencies count from "
    "that\n"
    "time. There are no retries. Targets: http://127.0.0.1:PORT/PATH (GET) or tcp://127.0.0.1:PORT (a line "
    "that\n"
    "is to be echoed). Only loopback addresses and Unix sockets are accepted, unless --namespace is given, "
    "which\n"
    "is for hosts in a network namespace that a test has made.\n"
    "\n"
    "Prints 'first answer: VERSION' after the first success, 'phase: NAME' after each mark and a summary at "
    "the\n"
    "end. Exit status: 0 no attempt failed, 1 some failed (or none was made), 2 usage, 70 the books do not "
    "match.\n";

using cxxopts::value;

void add_load(cxxopts::Options& options) {
  auto add = options.add_options("Load");
  add("rate", "requests a second, 0 for none", value<double>()->default_value("500"), "R");
  add("requests", "end after that many requests", value<std::uint64_t>(), "N");
  add("duration", "end after that many seconds", value<double>(), "S");
  add("max-duration", "end after that many seconds in any case", value<double>()->default_value("600"), "S");
  add("stdin", "read commands: 'mark NAME' begins a phase, 'stop' or the end of file ends the run");
  add("timeout-ms", "time for a request, from the intended time", value<unsigned>()->default_value("5000"),
      "MS");
  add("slow", "requests to the slow path to keep in flight beside the rate",
      value<unsigned>()->default_value("0"), "N");
  add("slow-path", "the slow path", value<std::string>()->default_value("/slow"), "PATH");
  add("slow-timeout-ms", "time for a slow request", value<unsigned>()->default_value("30000"), "MS");
}

void add_connections(cxxopts::Options& options) {
  auto add = options.add_options("Connections");
  add("keep-alive", "reuse connections; without it each request has its own");
  add("connections", "connections to keep with --keep-alive", value<std::size_t>()->default_value("50"), "N");
  add("max-connections", "open at once; further requests wait (4 times --connections, else 4096)",
      value<std::size_t>(), "N");
  add("sources", "source addresses (127.0.0.2 ...), 0: do not bind", value<unsigned>()->default_value("32"),
      "N");
  add("unix", "connect to this Unix socket", value<std::string>()->default_value(""), "PATH");
  add("namespace", "accept a target that is not a loopback address");
}

void add_expectations(cxxopts::Options& options) {
  auto add = options.add_options("Expected answers");
  add("expect-status", "status codes", value<std::vector<int>>()->default_value("200,404"), "LIST");
  add("expect-version", "only these versions (may be repeated)", value<std::vector<std::string>>(),
      "VERSION");
  add("expect-body", "the body of a version, without commas and line end (may be repeated)",
      value<std::vector<std::string>>(), "VERSION=TEXT");
  add("any-body", "bodies of one version may differ; else all must be like its first one");
  add("allow-eof-body", "the end of file may end a body without Content-Length");
  add("echo-version", "an echo server puts its version and a blank before the line");
}

void add_output(cxxopts::Options& options) {
  auto add = options.add_options("Output");
  add("json", "write all as JSON; for - (standard output) the rest goes to standard error",
      value<std::string>()->default_value(""), "FILE");
  add("bucket-ms", "width of a step of the timeline", value<unsigned>()->default_value("1000"), "MS");
  add("timeline", "print the timeline too");
  add("h,help", "print this");
}

cxxopts::Options command_line() {
  cxxopts::Options options("liveswap-load", description);
  options.set_width(110);
  options.custom_help("[options]").positional_help("TARGET");
  add_load(options);
  add_connections(options);
  add_expectations(options);
  add_output(options);
  options.add_options("hidden")("target", "", value<std::string>());
  options.parse_positional("target");
  return options;
}

Time seconds(double count) { return Time(static_cast<Time::rep>(count * 1e9)); }

Time milliseconds(unsigned count) { return std::chrono::milliseconds(count); }

Result<void> take_expectations(const cxxopts::ParseResult& given, Options& options) {
  const auto statuses = given["expect-status"].as<std::vector<int>>();
  options.expectations.statuses = {statuses.begin(), statuses.end()};
  options.expectations.same_body = given.count("any-body") == 0;
  options.allow_eof_body = given.count("allow-eof-body") > 0;
  options.echo_prefixed = given.count("echo-version") > 0;
  if (given.count("expect-version") > 0) {
    const auto versions = given["expect-version"].as<std::vector<std::string>>();
    options.expectations.versions = {versions.begin(), versions.end()};
  }
  if (given.count("expect-body") == 0) return {};
  for (const std::string& entry : given["expect-body"].as<std::vector<std::string>>()) {
    const std::size_t equals = entry.find('=');
    if (equals == std::string::npos || equals == 0)
      return fail(fmt::format("--expect-body '{}', expected VERSION=TEXT", entry));
    options.expectations.bodies[entry.substr(0, equals)] = entry.substr(equals + 1);
  }
  return {};
}

Result<void> take_load(const cxxopts::ParseResult& given, Options& options) {
  options.rate = given["rate"].as<double>();
  if (!(options.rate >= 0 && options.rate <= most_rate))
    return fail(fmt::format("--rate {}, expected 0 to {}", options.rate, most_rate));
  if (given.count("requests") > 0) options.requests = given["requests"].as<std::uint64_t>();
  double most = given["max-duration"].as<double>();
  if (given.count("duration") > 0) most = std::min(most, given["duration"].as<double>());
  if (!(most > 0 && most <= 86'400))
    return fail(fmt::format("a duration of {} s, expected 0 to 86400", most));
  options.duration = seconds(most);
  options.timeout = milliseconds(given["timeout-ms"].as<unsigned>());
  options.slow = given["slow"].as<unsigned>();
  options.slow_path = given["slow-path"].as<std::string>();
  options.slow_timeout = milliseconds(given["slow-timeout-ms"].as<unsigned>());
  if (options.slow_path.empty() || options.slow_path.front() != '/' ||
      options.slow_path.find_first_of(" \r\n") != std::string::npos)
    return fail(fmt::format("--slow-path '{}', expected a path", options.slow_path));
  if (options.rate == 0 && options.slow == 0)
    return fail("neither --rate nor --slow: there is nothing to do");
  return {};
}

// A few descriptors are not for connections.
Result<void> take_connections(const cxxopts::ParseResult& given, Options& options) {
  constexpr std::size_t spare = 32;
  options.keep_alive = given.count("keep-alive") > 0;
  options.sources = given["sources"].as<unsigned>();
  if (options.sources > 250) return fail(fmt::format("--sources {}, expected 0 to 250", options.sources));
  options.connections = given["connections"].as<std::size_t>() + options.slow;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  const std::size_t possible = limit.rlim_cur > spare ? limit.rlim_cur - spare : 1;
  options.most_connections =
      given.count("max-connections") > 0
          ? given["max-connections"].as<std::size_t>()
          : std::min(possible, options.keep_alive ? 4 * options.connections : std::size_t{4096});
  const std::size_t least = options.keep_alive ? options.connections : options.slow + 1;
  if (options.most_connections < least || options.most_connections > possible)
    return fail(
        fmt::format("--max-connections {}, expected {} to {}", options.most_connections, least, possible));
  return {};
}

Result<CommandLine> read(const cxxopts::ParseResult& given) {
  CommandLine options;
  if (given.count("target") != 1 || !given.unmatched().empty())
    return fail("expected one target; --help says more");
  auto target = parse_target(given["target"].as<std::string>(), given["unix"].as<std::string>(),
                             given.count("namespace") > 0);
  if (!target) return tl::unexpected(target.error());
  options.target = *target;
  for (const auto take : {take_expectations, take_load, take_connections})
    if (auto taken = take(given, options); !taken) return tl::unexpected(taken.error());
  if (given.count("stdin") > 0) options.commands = STDIN_FILENO;
  options.bucket = milliseconds(std::max(1U, given["bucket-ms"].as<unsigned>()));
  options.show_timeline = given.count("timeline") > 0;
  options.json = given["json"].as<std::string>();
  return options;
}

}  // namespace

std::string help_text() { return command_line().help({"Load", "Connections", "Expected answers", "Output"}); }

Result<std::optional<CommandLine>> parse_options(int argc, const char* const* argv) {
  try {
    const auto given = command_line().parse(argc, argv);
    if (given.count("help") > 0) return std::optional<CommandLine>{};
    auto options = read(given);
    if (!options) return tl::unexpected(options.error());
    return std::optional<CommandLine>(std::move(*options));
  } catch (const cxxopts::exceptions::exception& error) {
    return fail(error.what());
  }
}

}  // namespace liveswap::load
