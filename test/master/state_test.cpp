// The state of a master: written, read, and refused when it is anything else.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "master/state/envelope.hpp"
#include "release/sha256.hpp"

using namespace liveswap;
using namespace liveswap::master;

namespace {

constexpr std::size_t header_size = 8 + 4 + 4 + 8 + 64;

// A worker with a lent and an application listener. The descriptors are only numbers.
state::MasterState sample() {
  state::MasterState one;
  one.version = "1.2.3";
  one.executions = 4;
  one.started = rollout::Time{1'000};
  one.lock = {20};
  one.options.command_line = {"liveswap", "start", "app.so"};
  one.options.environment = {{"NAME", "with \n and \xff"}};
  one.options.listen = {{"web", "127.0.0.1:8080"}};
  one.options.listen_mode = ListenMode::shared;
  one.options.drain_limit = Milliseconds{-1};
  one.options.liveness = "GET /up";
  one.options.liveness_interval = Milliseconds{3'001};
  one.options.liveness_limit = Milliseconds{3'002};
  one.options.liveness_failures = 303;
  one.options.service = true;
  one.options.kind = "script";
  one.options.start_file = "bin/server.js";
  one.options.runtime.run = {"/opt/node/bin/node", "--no-warnings"};
  one.options.runtimes["ts"].run = {"deno"};
  one.control = {"token", {21}, {22}, {23}, {{{24}, true, "{\"cmd\"", true}}};
  auto& lent = one.listeners.endpoints.emplace_back();
  lent.name = "web";
  lent.text = "127.0.0.1:8080";
  lent.where.where.length = 16;
  lent.where.where.storage.ss_family = AF_INET;
  lent.sets = {{{{30}}}};
  lent.group.add(30);
  one.listeners.lent = 2;
  one.listeners.slots = one.listeners.steered = 1;
  lent.left_open = true;
  lent.spare = {{32}};
  lent.group.add(32);
  auto& passed = one.listeners.endpoints.emplace_back();
  passed.kind = state::EndpointState::Kind::passed;
  passed.sets = {{{{33}}}};
  one.listeners.kept = {{"web#0", UINT64_MAX}};
  auto& app = one.listeners.endpoints.emplace_back();
  app.kind = state::EndpointState::Kind::app_unix;
  app.sets = {{{{31}}}};
  app.listens = true;
  one.engine.release = {"/srv/app.so", std::string(64, 'a')};
  one.engine.generation = one.engine.last_generation = 3;
  one.engine.last_worker = 7;
  one.engine.forks = 1;
  one.engine.slots = {{2, 1, rollout::Time{77}}};
  rollout::Engine::Worker worker;
  worker.id = 7;
  worker.generation = 3;
  worker.release = one.engine.release;
  worker.state = rollout::WorkerState::draining;
  worker.deadline = rollout::Time{99};
  worker.stopped_since = rollout::Time{98};
  worker.liveness.has_answered = true;
  one.engine.workers = {worker};
  state::WorkerState process;
  process.id = 7;
  process.pid = 4711;
  process.pidfd = {40};
  process.channel = {41};
  process.channel_version = LIVESWAP_CHANNEL_VERSION;
  process.output.streams = {{{42}, 1, "half a line", "earlier"}};
  process.generation = 3;
  process.open = 5;
  one.workers = {process};
  state::AppWorkerState binds;
  binds.id = 7;
  binds.facts.place = {0, 3, std::string(64, 'a')};
  binds.facts.unnamed = {{"127.0.0.1:0", 2}};
  binds.waits = {0, 2};
  binds.uses = {2};
  binds.cookies = {{UINT64_MAX, 2}};
  binds.given_up = {{0, std::nullopt}};
  one.app_listeners.workers = {binds};
  one.app_listeners.uses = {{2, {}, true}};
  one.app_listeners.options.know(17, {{{1, 2, "tag"}, std::string("\0\x01", 2)}, {{1, 3}, std::nullopt}});
  one.committed.add({"/srv/app.so", std::string(64, 'a')}, "");
  return one;
}

std::string bytes_of(state::MasterState one) {
  const auto written = state::write(one);
  REQUIRE(written);
  std::string bytes(static_cast<std::size_t>(::lseek(written->file.get(), 0, SEEK_END)), '\0');
  REQUIRE(::pread(written->file.get(), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  return bytes;
}

// The bytes with another document, and a header that fits it.
std::string with_document(std::string bytes, const std::string& document) {
  bytes.resize(header_size);
  const std::uint64_t size = document.size();
  std::memcpy(bytes.data() + 16, &size, sizeof size);
  release::sha256_of(document).copy(bytes.data() + 24, 64);
  return bytes + document;
}

nlohmann::json document_of(const std::string& bytes) {
  return nlohmann::json::parse(bytes.substr(header_size));
}

std::string refusal(const std::string& bytes) {
  const auto read = state::parse(bytes);
  return read ? "read" : read.error().text;
}

// Changes one value somewhere in the document.
void mutate(nlohmann::json& value, std::minstd_rand& random) {
  const auto pick = [&](std::size_t most) { return random() % most; };
  if (value.is_structured() && !value.empty() && pick(8) != 0) {
    auto it = value.begin();
    std::advance(it, pick(value.size()));
    if (pick(16) == 0) value.erase(it);
    else mutate(*it, random);
    return;
  }
  const nlohmann::json others[] = {nullptr,
                                   true,
                                   -1,
                                   0,
                                   1,
                                   7,
                                   30,
                                   64,
                                   4'000'000'000,
                                   1e300,
                                   UINT64_MAX,
                                   INT64_MIN,
                                   "",
                                   "x",
                                   nlohmann::json::array(),
                                   nlohmann::json::object(),
                                   {{"hex", "0g"}},
                                   {{"hex", "00"}},
                                   {1, 2}};
  value = others[pick(std::size(others))];
}

}  // namespace

TEST_CASE("state: what was written is read") {
  const std::string bytes = bytes_of(sample());
  auto read = state::parse(bytes);
  REQUIRE_MESSAGE(read, read.error().text);
  CHECK(read->options.environment == sample().options.environment);
  CHECK(read->options.listen_mode == ListenMode::shared);
  CHECK(read->options.drain_limit.count() == -1);
  CHECK(read->options.service);
  CHECK(read->listeners.kept == systemd::StoredSockets{{"web#0", UINT64_MAX}});
  CHECK(read->engine.workers.at(0).stopped_since == rollout::Time{98});
  CHECK(read->engine.workers.at(0).liveness.has_answered);
  CHECK(read->options.liveness == "GET /up");
  CHECK(read->options.liveness_interval == Milliseconds{3'001});
  CHECK(read->options.liveness_limit == Milliseconds{3'002});
  CHECK(read->options.liveness_failures == 303);
  CHECK(read->engine.slots.at(0).respawn_at == rollout::Time{77});
  CHECK(read->app_listeners.workers.at(0).cookies.at(0).first == UINT64_MAX);
  CHECK(read->control.clients.at(0).received == "{\"cmd\"");
  CHECK(bytes_of(*read) == bytes);
}

// An option that describe() does not name is lost in a re-execution. A new option changes this size: name it
// in master/state/options_state.hpp.
TEST_CASE("state: every option is in the state") {
#if defined(__x86_64__) && defined(__GLIBCXX__)
  CHECK(sizeof(Options) == 1152);
#endif
}

TEST_CASE("state: the file is sealed, and names its descriptors") {
  auto one = sample();
  const auto written = state::write(one);
  REQUIRE(written);
  CHECK(::write(written->file.get(), "x", 1) < 0);
  CHECK(::ftruncate(written->file.get(), 1) != 0);
  CHECK(written->fds.size() == 12);
  CHECK(state::read(written->file.get()));
  const auto open = UniqueFd::adopt(::memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  CHECK(!state::read(open.get()));
}

TEST_CASE("state: members of a newer version are skipped, those of an older one may be missing") {
  const std::string bytes = bytes_of(sample());
  auto document = document_of(bytes);
  document["tomorrow"] = {{"x", 1}};
  document["engine"]["tomorrow"] = "y";
  document["options"].erase("settle");
  const auto read = state::parse(with_document(bytes, document.dump()));
  REQUIRE_MESSAGE(read, read.error().text);
  CHECK(read->options.settle == Options().settle);
}

TEST_CASE("state: another major version, damage and other files are refused") {
  const std::string bytes = bytes_of(sample());
  std::string other = bytes;
  other[8] = 2;
  CHECK(refusal(other) == "the state has version 2.0, expected 1.x: stop and start the master instead");
  other = bytes;
  other.back() = ' ';
  CHECK(refusal(other) == "the state is damaged: its SHA-256 differs");
  other = bytes;
  other[0] = 'x';
  CHECK(refusal(other) == "the file is no state of a master");
  CHECK(refusal(bytes.substr(0, 20)) == "the state is cut off within its header");
  CHECK(refusal(bytes.substr(0, bytes.size() - 1)) != "read");
}

TEST_CASE("state: what does not fit together is refused, with its name") {
  const std::string bytes = bytes_of(sample());
  const auto with = [&](const char* pointer, const nlohmann::json& value) {
    auto document = document_of(bytes);
    document.at(nlohmann::json::json_pointer(pointer)) = value;
    return refusal(with_document(bytes, document.dump()));
  };
  CHECK(with("/engine/forks", 0) == "the state is wrong: impossible forks");
  CHECK(with("/engine/workers/0/slot", 1) == "the state is wrong: a worker in a slot that does not exist");
  CHECK(with("/workers/0/set", 9) == "the state is wrong: a worker with a set that does not exist");
  CHECK(with("/workers/0/pid", 1) == "the state is wrong: a worker without a process or a channel");
  CHECK(with("/workers/0/channel", 40) ==
        "the state is wrong: workers: channel: descriptor 40 is named twice");
  CHECK(with("/workers/0/channel_version", LIVESWAP_CHANNEL_VERSION + 1).find("speaks version") !=
        std::string::npos);
  CHECK(with("/app_listeners/workers/0/uses/0", 3) ==
        "the state is wrong: a worker with a listener that does not exist");
  CHECK(with("/listeners/endpoints/0/group/sockets/0", 31) ==
        "the state is wrong: a socket in a foreign group");
  CHECK(with("/listeners/endpoints/1/sets/0/0/fd", -1) == "the state is wrong: a slot without a socket");
  CHECK(with("/listeners/endpoints/0/spare", nlohmann::json::array()) ==
        "the state is wrong: a socket in a foreign group");
  CHECK(with("/engine/generation", -1) ==
        "the state is wrong: engine: generation: found -1, expected a number from 0 to 18446744073709551615");
}

TEST_CASE("state: no change of a value is more than a refusal") {
  const std::string bytes = bytes_of(sample());
  std::minstd_rand random(20'261'129);
  unsigned read = 0;
  const char* count = std::getenv("LIVESWAP_MUTATIONS");
  for (int i = count ? std::atoi(count) : 3'000; i > 0; --i) {
    auto document = document_of(bytes);
    for (auto changes = 1 + random() % 3; changes > 0; --changes) mutate(document, random);
    if (auto one = state::parse(with_document(bytes, document.dump()))) {
      ++read;
      // What has been accepted can be written.
      bytes_of(*one);
    }
  }
  CHECK(read > 100);
}

namespace {

// What is kept for the next master: in the middle of an upgrade, without lock and control sockets.
state::MasterState kept() {
  state::MasterState one = sample();
  one.at_rest = false;
  one.lock = {};
  one.control = {};
  one.options.command_line.clear();
  one.log = {50};
  one.workers[0].output.streams[0].place = 50;
  one.engine.last_generation = 4;
  one.engine.unfinished = {5, {"/srv/new.so", std::string(64, 'b')}, 4, true};
  one.engine.decided = {{4, rollout::Verdict::ok, "done", {7}}};
  one.receipts = {{5, protocol::Verb::upgrade, "/srv/new.so", "uid 0", rollout::Time{3}, "{}"}};
  return one;
}

int any_fd() { return ::memfd_create("any", MFD_CLOEXEC); }

}  // namespace

TEST_CASE("state: what is kept for the next master is read, and refused for a re-execution") {
  const std::string bytes = bytes_of(kept());
  const auto read = state::parse(bytes);
  REQUIRE_MESSAGE(read, read.error().text);
  CHECK(!read->at_rest);
  REQUIRE(read->engine.unfinished);
  CHECK(read->engine.unfinished->generation == 4);
  CHECK(read->engine.decided.at(0).workers == std::vector<rollout::WorkerId>{7});
  CHECK(read->receipts.at(0).asked == "/srv/new.so");
  auto document = document_of(bytes);
  document["at_rest"] = true;
  CHECK(refusal(with_document(bytes, document.dump())) != "read");
  document = document_of(bytes);
  document["engine"]["unfinished"]["generation"] = 9;
  CHECK(refusal(with_document(bytes, document.dump())) ==
        "the state is wrong: numbers that are still to come");
}

TEST_CASE("state: a flip that is about to begin is in it, with the sockets of its set") {
  auto one = kept();
  one.listeners.sets = 2;
  auto& tcp = one.listeners.endpoints.at(0);
  tcp.sets.push_back({{{35}}});
  tcp.group.add(35);
  auto& path = one.listeners.endpoints.at(1);
  path.kind = state::EndpointState::Kind::unix_path;
  path.sets.push_back({{{36}}});
  path.set_beside = 1;
  one.listeners.staged = 1;
  const std::string bytes = bytes_of(one);
  const auto read = state::parse(bytes);
  REQUIRE_MESSAGE(read, read.error().text);
  CHECK(read->listeners.staged == 1);
  CHECK(read->listeners.endpoints.at(1).set_beside == 1);
  const auto with = [&](const char* pointer, const nlohmann::json& value) {
    auto document = document_of(bytes);
    document.at(nlohmann::json::json_pointer(pointer)) = value;
    return refusal(with_document(bytes, document.dump()));
  };
  CHECK(with("/listeners/staged", 2) == "the state is wrong: a flip to a set that does not exist");
  CHECK(with("/listeners/staged", 0) == "the state is wrong: a flip to a set that does not exist");
  one.listeners.endpoints.at(1).sets.pop_back();
  CHECK(refusal(bytes_of(one)) == "the state is wrong: a flip to a set without sockets");
}

TEST_CASE("state: listeners that a reload was changing are in it") {
  auto one = kept();
  auto& leaving = one.listeners.endpoints.emplace_back();
  leaving.name = "old";
  leaving.where.where.length = 16;
  leaving.sets = {{{{34}}}};
  leaving.group.add(34);
  leaving.door = Endpoint::Door::held;
  one.listeners.lendings = {{{0, "web", true}, {1, "passed", false}}, {{3, "old", true}, {0, "was", false}}};
  one.listeners.former = 1;
  one.app_listeners.workers.at(0).lending = 1;
  const std::string bytes = bytes_of(one);
  const auto read = state::parse(bytes);
  REQUIRE_MESSAGE(read, read.error().text);
  CHECK(read->listeners.former == 1);
  CHECK(read->listeners.lendings.at(1).at(1).name == "was");
  CHECK(read->listeners.endpoints.at(3).door == Endpoint::Door::held);
  CHECK(read->app_listeners.workers.at(0).lending == 1);
  const auto with = [&](const char* pointer, const nlohmann::json& value) {
    auto document = document_of(bytes);
    document.at(nlohmann::json::json_pointer(pointer)) = value;
    return refusal(with_document(bytes, document.dump()));
  };
  CHECK(with("/listeners/former", 2) == "the state is wrong: a configuration that does not exist");
  CHECK(with("/listeners/lendings/1/0/endpoint", 4) ==
        "the state is wrong: a lent listener that does not exist");
  CHECK(with("/listeners/lendings/1/0/endpoint", 0) ==
        "the state is wrong: a lent listener that does not exist");
  CHECK(with("/listeners/lendings/1/0/endpoint", 2) ==
        "the state is wrong: a lent listener of an application");
  CHECK(with("/listeners/lendings/0/0/endpoint", 3) ==
        "the state is wrong: the present configuration lends other listeners");
  CHECK(with("/app_listeners/workers/0/lending", 2) ==
        "the state is wrong: a worker with a listener that does not exist");
  CHECK(with("/listeners/lendings", nlohmann::json::array()) ==
        "the state is wrong: a configuration that does not exist");
}

TEST_CASE("state: descriptors get the numbers that they have in the next master") {
  const std::string bytes = bytes_of(kept());
  auto read = state::parse(bytes);
  REQUIRE(read);
  std::vector<UniqueFd> received;
  std::map<int, int> numbers;
  for (const int number : read->descriptors) {
    received.push_back(UniqueFd::adopt(any_fd()));
    numbers[number] = received.back().get();
  }
  const auto taken = state::take_descriptors(*read, received);
  REQUIRE_MESSAGE(taken, taken.error().text);
  CHECK(received.empty());
  CHECK(read->workers[0].channel.number == numbers[41]);
  CHECK(read->workers[0].output.streams[0].reader.number == numbers[42]);
  CHECK(read->workers[0].output.streams[0].place == numbers[50]);
  CHECK(read->log.number == numbers[50]);
  CHECK(read->listeners.endpoints[0].sets[0][0].fd.number == numbers[30]);
  CHECK(read->listeners.endpoints[0].group.sockets() == std::vector<int>{numbers[30], numbers[32]});
  state::close_descriptors(*read);
  CHECK(::fcntl(numbers[30], F_GETFD) == -1);
}

TEST_CASE("state: too few descriptors, or others than are named, are refused") {
  auto read = state::parse(bytes_of(kept()));
  REQUIRE(read);
  std::vector<UniqueFd> received;
  CHECK_FALSE(state::take_descriptors(*read, received));
  for (std::size_t i = 0; i < read->descriptors.size(); ++i) received.push_back(UniqueFd::adopt(any_fd()));
  read->descriptors.back() = 999;
  const auto taken = state::take_descriptors(*read, received);
  REQUIRE_FALSE(taken);
  CHECK(taken.error().text.find("has not come along") != std::string::npos);
}

TEST_CASE("state: only what is kept for the next master may be without a SHA-256") {
  const auto without_sum = [](std::string bytes) { return bytes.replace(24, 64, 64, '\0'); };
  CHECK(refusal(without_sum(bytes_of(kept()))) == "read");
  CHECK(refusal(without_sum(bytes_of(sample()))) == "the state for a re-execution has no SHA-256");
  auto one = kept();
  const auto file = state::write_document(state::document_of(one));
  REQUIRE(file);
  const auto read = state::read(file->get());
  REQUIRE_MESSAGE(read, read.error().text);
  CHECK(read->engine.last_generation == 4);
}

TEST_CASE("state: no change of what was kept is more than a refusal") {
  const std::string bytes = bytes_of(kept());
  std::minstd_rand random(20'261'130);
  unsigned read = 0;
  const char* count = std::getenv("LIVESWAP_MUTATIONS");
  for (int i = count ? std::atoi(count) : 3'000; i > 0; --i) {
    auto document = document_of(bytes);
    for (auto changes = 1 + random() % 3; changes > 0; --changes) mutate(document, random);
    auto one = state::parse(with_document(bytes, document.dump()));
    if (!one) continue;
    ++read;
    std::vector<UniqueFd> received;
    for (std::size_t at = 0; at < one->descriptors.size() && at < 100; ++at)
      received.push_back(UniqueFd::adopt(any_fd()));
    if (state::take_descriptors(*one, received)) state::close_descriptors(*one);
  }
  CHECK(read > 100);
}
