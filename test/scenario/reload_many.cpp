// Many reloads in a row under load: random valid changes, and broken files. RELOADS sets how many (default
// 12):
//
//   RELOADS=100 build-test/test/scenario/scenario-tests -sf='*/scenario/reload_many.cpp'
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>

#include "support/connection.hpp"
#include "support/instance.hpp"
#include "support/load.hpp"
#include "support/port.hpp"
#include "support/proc.hpp"

namespace scenario {
namespace {

unsigned how_many() {
  const char* text = std::getenv("RELOADS");
  return text ? static_cast<unsigned>(std::atoi(text)) : 12;
}

// A random walk through the keys that a reload can apply. Every step gives a valid file.
class Walk {
 public:
  explicit Walk(const std::string& place) : place_(place) {}

  void step() {
    const auto changes = 1 + below(3);
    for (unsigned i = 0; i < changes; ++i) change();
  }
  // The addresses of M, X and Y are filled in by ReloadedMaster.
  std::string text() const {
    std::string lines = "listen: [" + listen_ + "]\n";
    for (const auto& [key, value] : values_) lines += key + ": " + value + "\n";
    return lines;
  }
  bool listens_on(const std::string& listener) const { return contains(listen_, listener + "="); }

 private:
  unsigned below(unsigned count) { return static_cast<unsigned>(random_()) % count; }
  std::string number(unsigned count) { return std::to_string(1 + below(count)); }

  void change() {
    switch (below(18)) {
      case 0: values_["forks"] = number(3); break;
      case 1: values_["environment"] = "{MODE: m" + number(99) + ", MORE: 'x" + number(9) + "'}"; break;
      case 2: values_["arguments"] = "[m, x, y, a" + number(9) + ", b" + number(9) + "]"; break;
      case 3: values_["limits"] = "{nofile: " + std::to_string(200 + below(99)) + "}"; break;
      case 4: values_["working-directory"] = place_ + (below(2) ? "/a" : "/b"); break;
      case 5: values_["keepalive-grace"] = number(9) + "s"; break;
      case 6: values_["drain-limit"] = std::to_string(20 + below(9)) + "s"; break;
      case 7: values_["batch"] = number(3); break;
      case 8: values_["surge"] = std::to_string(50 + 50 * below(3)) + "%"; break;
      case 9: values_["settle"] = number(50) + "ms"; break;
      case 10: values_["log-file"] = place_ + (below(2) ? "/one.log" : "/two.log"); break;
      case 11: values_["term-grace"] = number(3) + "s"; break;
      case 12: values_["health"] = below(2) ? "connect" : "GET / 200"; break;
      case 13: values_["probation"] = below(2) ? "none" : "30ms"; break;
      case 14: values_["listen-mode"] = below(2) ? "shared" : "reuseport"; break;
      case 15: values_["backlog"] = std::to_string(100 + below(99)); break;
      default: listen_ = lists_[below(lists_.size())];
    }
  }

  std::string place_;
  std::mt19937 random_{15};
  // A listener comes, goes, changes its place, name or family.
  std::vector<std::string> lists_{"m=M",           "m=M, x=X",           "x=X, m=M",
                                  "m=M, y=Y, x=X", "m=M, x=Y",           "y=X, m=M",
                                  "m=M, y=unix:U", "x=unix:U, m=M, y=Y", "x=M, y=X"};
  std::string listen_ = "m=M";
  std::map<std::string, std::string> values_{
      {"forks", "2"}, {"health-interval", "20ms"}, {"arguments", "[m, x, y]"}};
};

class ReloadedMaster {
 public:
  ReloadedMaster(Scenario& scenario, const std::string& name, const std::string& text)
      : site_(scenario, name), file_(scenario.dir / (name + ".yaml")) {
    write(text);
    master_.emplace(site_.launch("start", {"-c", file_}));
    if (!eventually([&] { return site_.status().value("state", "") == "running"; }))
      FAIL("the master has not started: " << master_->err());
  }
  ~ReloadedMaster() {
    site_.run("die");
    master_->wait();
  }
  void write(const std::string& text) const {
    std::string filled = text;
    const auto fill = [&](const std::string& place, const std::string& address) {
      for (auto at = filled.find(place); at != std::string::npos; at = filled.find(place, at))
        filled.replace(at + 1, place.size() - 1, address);
    };
    fill("=M", site_.address());
    fill("=X", x_.address());
    fill("=Y", y_.address());
    fill("=unix:U", "unix:" + unix_address().substr(5));
    write_file(file_, "target: " + own_fixture("report") + "\n" + filled);
  }
  std::string unix_address() const { return "unix:" + file_ + ".sock"; }
  // Names, kinds of addresses and the number of listening sockets of each, in the order of the listeners.
  Words listeners() const {
    Words all;
    const auto status = site_.status();
    for (const auto& one : status.at("listeners")) {
      std::string address = one.at("address");
      if (address == site_.address()) address = "M " + std::to_string(sockets_at(address));
      else if (address == x_.address()) address = "X " + std::to_string(sockets_at(address));
      else if (address == y_.address()) address = "Y " + std::to_string(sockets_at(address));
      else if (address == unix_address()) address = "U";
      all.push_back(one.at("name").get<std::string>() + "=" + address);
    }
    all.push_back(status.at("listen_mode"));
    return all;
  }
  const Site& site() const { return site_; }
  // Whether the listener of that name gets an answer.
  bool answers(const std::string& listener) const {
    const auto status = site_.status();
    for (const auto& one : status.at("listeners"))
      if (one.at("name") == listener) return contains(http_get(one.at("address")), "HTTP/1.1 200");
    return false;
  }

  // What the settings have made of the workers, sorted: variables, arguments, limits and directories.
  Words workers() const {
    Words all;
    const auto status = site_.status();
    for (const auto& slot : status.at("slots"))
      for (const auto& worker : slot.at("workers")) {
        if (worker.at("state") != "ready") continue;
        const pid_t pid = worker.at("pid");
        std::string text;
        for (const auto& variable : proc::environment(pid))
          if (variable.starts_with("MODE=") || variable.starts_with("MORE=")) text += variable + " ";
        for (const auto& line : lines_of(read_file("/proc/" + std::to_string(pid) + "/limits")))
          if (line.starts_with("Max open files")) text += line + " ";
        const auto words = proc::arguments(pid);
        for (std::size_t i = 1; i < words.size(); ++i) text += words[i] + " ";
        all.push_back(text + proc::working_directory(pid));
      }
    std::sort(all.begin(), all.end());
    return all;
  }

 private:
  // The number of sockets that listen at "127.0.0.1:<port>".
  static std::size_t sockets_at(const std::string& address) {
    char wanted[40];
    std::snprintf(wanted, sizeof wanted, "0100007F:%04X 00000000:0000 0A",
                  static_cast<unsigned>(std::stoul(address.substr(address.rfind(':') + 1))));
    const auto lines = lines_of(read_file("/proc/net/tcp"));
    return static_cast<std::size_t>(
        std::count_if(lines.begin(), lines.end(), [&](const auto& line) { return contains(line, wanted); }));
  }

  Site site_;
  Port x_, y_;
  std::string file_;
  std::optional<Process> master_;
};

TEST_CASE_FIXTURE(Scenario,
                  "random valid changes under load: nothing is lost, and the end is as a fresh start") {
  dir.directory("a");
  dir.directory("b");
  Walk walk(dir.path());
  // The log moves between files only.
  std::string first = walk.text() + "log-file: " + (dir / "one.log") + "\n";
  ReloadedMaster app(*this, "reloaded", first);
  Load load(*this, app.site().address());
  std::string last = first;
  for (unsigned i = 0; i < how_many(); ++i) {
    walk.step();
    last = walk.text();
    if (!contains(last, "log-file")) last += "log-file: " + (dir / "one.log") + "\n";
    CAPTURE(last);
    app.write(last);
    const auto reloaded = app.site().run("reload");
    CHECK_MESSAGE(reloaded.status == Exit::ok, reloaded.err);
    CHECK(app.site().status().at("listeners").size() >= 1);
    if (walk.listens_on("y")) CHECK(eventually([&] { return app.answers("y"); }));
    // A slot that is removed is left to drain.
    CHECK(eventually([&] {
      const auto status = app.site().status();
      return status.at("slots").size() == status.at("forks");
    }));
  }
  load.stop().check_nothing_lost();
  CHECK(contains(app.site().run("reload").out, "nothing has changed"));
  const ReloadedMaster fresh(*this, "fresh", last);
  const auto expected = fresh.workers();
  CHECK(eventually([&] { return app.workers() == expected; }));
  CHECK(app.site().status().at("forks") == fresh.site().status().at("forks"));
  const auto listeners = fresh.listeners();
  CHECK(eventually([&] { return app.listeners() == listeners; }));
}

TEST_CASE_FIXTURE(Scenario, "broken files: each is named with line and column, and nothing changes") {
  const std::string good =
      "listen: [m=M, x=X]\nbacklog: 99\nforks: 1\nenvironment:\n  MODE: one\nbake: 3s\nsurge: 100%\n";
  const ReloadedMaster app(*this, "reloaded", good);
  const auto before = app.site().status();
  std::mt19937 random(15);
  unsigned refused = 0;
  for (unsigned i = 0; i < 20 * how_many() && refused < how_many(); ++i) {
    std::string text = good;
    text[random() % (text.size() - 1)] = "{[:\t#\x01'%"[random() % 8];
    CAPTURE(text);
    app.write(text);
    // A mutation that is a valid file is tried without being applied.
    const auto found = app.site().run("reload", {"--dry-run"});
    if (found.status == Exit::ok) continue;
    ++refused;
    const auto reloaded = app.site().run("reload");
    CHECK(reloaded.status == Exit::usage);
    const auto at = reloaded.err.find("reloaded.yaml:");
    REQUIRE(at != std::string::npos);
    int line = 0, column = 0;
    CHECK(std::sscanf(reloaded.err.c_str() + at, "reloaded.yaml:%d:%d:", &line, &column) == 2);
    CHECK(line >= 1);
    CHECK(column >= 1);
  }
  CHECK(refused == how_many());
  const auto after = app.site().status();
  CHECK(after.at("generation") == before.at("generation"));
  CHECK(after.at("slots").at(0).at("workers").at(0).at("pid") ==
        before.at("slots").at(0).at("workers").at(0).at("pid"));
}

}  // namespace
}  // namespace scenario
