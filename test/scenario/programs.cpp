// Programs as they are: executed with the hook, upgraded under load; what they see of themselves; which are
// refused.
#include <doctest/doctest.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>

#include "support/file.hpp"
#include "support/load.hpp"
#include "support/nobody.hpp"
#include "support/proc.hpp"
#include "support/sessions.hpp"

namespace scenario {
namespace {

constexpr int upgrades = 10;

std::string program(const std::string& name) { return PROGRAMS "/" + name; }

void upgrade_under_load(Scenario& scenario, const std::string& name) {
  CAPTURE(name);
  const Port port;
  Instance app(scenario, program(name + "_v1"), {}, {port.text()});
  Load load(scenario, port.address(), {"--rate", "300"});
  Sessions sessions({port.address()}, {.clients = 8, .requests = 0, .pause = milliseconds(25)});
  REQUIRE(sessions.all_began());
  for (int i = 1; i <= upgrades; ++i) {
    const auto before = app.workers();
    const auto finished = app.upgrade(program(name + (i % 2 ? "_v2" : "_v1")));
    REQUIRE_MESSAGE(finished.status == Exit::ok, "upgrade ", i, ": ", finished.err);
    CHECK(eventually([&] { return all_gone(before); }));
  }
  for (const auto& [what, count] : sessions.stop()) FAIL_CHECK(count, " times: ", what);
  const auto report = load.stop();
  report.check_nothing_lost();
  CHECK(sessions.answers_of("v1") > 0);
  CHECK(sessions.answers_of("v2") > 0);
  MESSAGE(name, ": ", upgrades, " upgrades, ", report.attempts(), " attempts and ", sessions.answers(),
          " on connections that were never closed, 0 failed");
}

TEST_CASE_FIXTURE(Scenario, "10 upgrades of a program under load") {
  for (const std::string name : {"poll", "epoll", "threads"}) upgrade_under_load(*this, name);
}

// "name value" of an answer of test/programs/seen.c; all values of that name, in order.
Words seen(const std::string& answer, const std::string& name) {
  Words found;
  for (const auto& line : lines_of(answer))
    if (line.starts_with(name + " ")) found.push_back(line.substr(name.size() + 1));
  return found;
}

TEST_CASE_FIXTURE(Scenario, "a program sees what it would see without liveswap") {
  for (const std::string name : {"seen", "seen_early"}) {
    CAPTURE(name);
    const Port port;
    const auto path = program(name);
    Instance app(*this, path, {"--env", "SEEN=yes", "--forks", "1"}, {"-x", "two words", port.text()});
    const std::string answer = http_get(port.address());
    CAPTURE(answer);
    CHECK(seen(answer, "argument") == Words{path, "-x", "two words", port.text()});
    CHECK(seen(answer, "cmdline") == Words{path + "|-x|two words|" + port.text()});
    CHECK(seen(answer, "exe").at(0).ends_with("/" + name));
    CHECK(seen(answer, "exe").at(0).starts_with(app.site().state_dir()));
    CHECK(seen(answer, "comm") == Words{name + "|"});
    CHECK(seen(answer, "variable") == Words{"SEEN=yes"});
    CHECK(seen(answer, "parameter") == Words{"SEEN=yes"});
    CHECK(seen(answer, "child") == Words{"SEEN=yes|"});
    CHECK(seen(answer, "same") == Words{"yes"});
    CHECK(seen(answer, "auxiliary") == Words{"well"});
    CHECK(seen(answer, "title") == Words{"seen: serving"});
    const auto environment = read_file("/proc/" + std::to_string(app.workers().at(0)) + "/environ");
    CHECK(!contains(environment, "liveswap-hook"));
    CHECK(!contains(environment, "LIVESWAP_WORKER"));
    CHECK(app.upgrade(path).status == Exit::ok);
  }
}

TEST_CASE_FIXTURE(Scenario, "a user's LD_PRELOAD stays, behind the hook") {
  const Port port;
  const std::string library = PRELOADED;
  Instance app(*this, program("seen"), {"--env", "LD_PRELOAD=" + library, "--forks", "1"}, {port.text()});
  const std::string answer = http_get(port.address());
  CHECK(seen(answer, "variable") == Words{"LD_PRELOAD=" + library});
  CHECK(seen(answer, "child") == Words{"LD_PRELOAD=" + library + "|"});
  CHECK(contains(read_file("/proc/" + std::to_string(app.workers().at(0)) + "/maps"), library));
}

// A refused upgrade touches no worker.
void check_refused(Scenario& scenario, const std::string& path, const std::string& says) {
  CAPTURE(path);
  const Port port;
  Instance app(scenario, program("poll_v1"), {"--forks", "1"}, {port.text()});
  const auto before = app.workers();
  const auto finished = app.upgrade(path);
  CHECK(finished.status == Exit::refused);
  CHECK_MESSAGE(contains(finished.err, says), finished.err);
  CHECK(app.workers() == before);
}

TEST_CASE_FIXTURE(Scenario, "a static program is refused by name") {
  check_refused(*this, STATIC_PROGRAM, "is a program that is linked statically");
}

TEST_CASE_FIXTURE(Scenario, "a set-uid program is refused by name") {
  const std::string copy = dir / "poll_setuid";
  std::filesystem::copy_file(program("poll_v2"), copy);
  std::filesystem::permissions(copy, std::filesystem::perms(04755));
  check_refused(*this, copy, "is set-uid or set-gid");
}

// cap_net_bind_service; false: this test may not give it.
bool give_capability(const std::string& path) {
  const vfs_cap_data data{VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE,
                          {{1u << CAP_NET_BIND_SERVICE, 0}, {0, 0}}};
  return ::setxattr(path.c_str(), "security.capability", &data, sizeof data, 0) == 0;
}

TEST_CASE_FIXTURE(Scenario, "a program with file capabilities is refused by name, and such a runtime") {
  const std::string copy = dir / "poll_capable", perl = dir / "perl";
  std::filesystem::copy_file(program("poll_v2"), copy);
  if (!give_capability(copy)) {
    MESSAGE("file capabilities cannot be set here: left out");
    return;
  }
  check_refused(*this, copy, "has file capabilities");
  if (!std::filesystem::exists("/usr/bin/perl")) return;
  std::filesystem::copy_file("/usr/bin/perl", perl);
  REQUIRE(give_capability(perl));
  write_file(dir / "server.pl", "#!" + perl + "\nsleep 1;\n");
  const auto finished = run(dir, {{liveswap_program(), "check", dir / "server.pl"}});
  CHECK(finished.status == Exit::failed);
  CHECK_MESSAGE(contains(finished.out + finished.err, perl + " has file capabilities"), finished.out,
                finished.err);
}

// A respawn has no preflight. Without the hook the worker would bind the port by itself.
TEST_CASE_FIXTURE(Scenario, "a runtime that got capabilities since is named when a worker is respawned" *
                                doctest::skip(!std::filesystem::exists("/usr/bin/perl"))) {
  const Port port;
  const std::string perl = dir / "perl", script = dir / "server.pl";
  std::filesystem::copy_file("/usr/bin/perl", perl);
  write_file(script, read_file(PROGRAM_SOURCES "/http.pl"));
  Instance app(*this, script, {"--runtime", perl}, {port.text()});
  if (!give_capability(perl)) {
    MESSAGE("file capabilities cannot be set here: left out");
    return;
  }
  ::kill(app.workers().at(0), SIGKILL);
  CHECK(app.master().says(perl + " has file capabilities"));
  CHECK(contains(http_get(port.address()), "VERSION"));
}

// A copy of a program in which the bytes `from` are `to`, filled up with zeros.
std::string changed(const std::string& name, const std::string& from, const std::string& to) {
  std::string bytes = read_file(program(name));
  const auto at = bytes.find(from);
  REQUIRE(at != std::string::npos);
  REQUIRE(to.size() <= from.size());
  return bytes.replace(at, from.size(), to + std::string(from.size() - to.size(), '\0'));
}

TEST_CASE_FIXTURE(Scenario, "a program for another architecture is refused by name") {
  std::string bytes = read_file(program("poll_v2"));
  const std::size_t machine = 18;  // e_machine
  bytes[machine] = static_cast<char>(bytes[machine] ^ 0x55);
  write_file(dir / "foreign", bytes);
  check_refused(*this, dir / "foreign", "is built for another architecture");
}

TEST_CASE_FIXTURE(Scenario, "a program that does not start by libc is refused by name") {
  write_file(dir / "own_start", changed("poll_v2", "__libc_start_main", "__libc_start_self"));
  check_refused(*this, dir / "own_start", "does not start by libc's __libc_start_main()");
}

TEST_CASE_FIXTURE(Scenario, "a program with a sanitizer linked into it is refused by name") {
  for (const std::string start :
       {"__asan_init", "__tsan_init", "__msan_init", "__hwasan_init", "__lsan_init"}) {
    write_file(dir / start, changed("poll_v2", "__libc_start_main", start));
    check_refused(*this, dir / start, "is built with a sanitizer (" + start + ")");
  }
}

// The bytes of a program, with the name of a library that it needs in place of another one.
std::string needing(const std::string& name) { return changed("lacking", "libmissing_from_here.so", name); }

TEST_CASE_FIXTURE(Scenario, "a program built with a sanitizer is refused by name") {
  for (const std::string library : {"libasan.so.8", "libtsan.so.2", "libclang_rt.asan.so"}) {
    write_file(dir / library, needing(library));
    check_refused(*this, dir / library, "is built with a sanitizer (" + library + ")");
  }
}

TEST_CASE_FIXTURE(Scenario, "a program for another C library is refused by name") {
  std::string bytes = read_file(program("poll_v2"));
  const std::string loader = "ld-linux-x86-64.so.2";
  const auto at = bytes.find(loader);
  if (at == std::string::npos) return;  // another machine
  bytes.replace(at, loader.size(), "ld-muslxx-x86-64.so.");
  bytes[at + loader.size() - 1] = '1';
  write_file(dir / "poll_musl", bytes);
  check_refused(*this, dir / "poll_musl", "is built for another C library");
}

TEST_CASE_FIXTURE(Scenario, "a program with a missing library is found before a worker is touched") {
  const Port port;
  Instance app(*this, program("poll_v1"), {"--forks", "1"}, {port.text()});
  write_file(dir / "lacking", needing("libmissing_from_nowh.so"));
  const auto before = app.workers();
  const auto finished = app.upgrade(dir / "lacking");
  CHECK(finished.status == Exit::reverted);
  CHECK_MESSAGE(contains(finished.err, "needs the library libmissing_from_nowh.so, which is not found"),
                finished.err);
  CHECK(app.workers() == before);
}

TEST_CASE_FIXTURE(Scenario, "a program that ends reverts the upgrade, with its own words") {
  const Port port;
  Instance app(*this, program("poll_v1"), {"--forks", "1"}, {port.text()});
  const auto finished = app.upgrade(program("leaving"));
  CHECK(finished.status == Exit::reverted);
  CHECK_MESSAGE(contains(finished.err, "I cannot go on"), finished.err);
  CHECK(contains(http_get(port.address()), "v1"));
}

// A process for each connection: the old worker's children finish their connections first.
TEST_CASE_FIXTURE(Scenario, "a program that forks for each connection") {
  const Port port;
  Instance app(*this, program("forks_v1"), {"--forks", "1"}, {port.text()});
  Connection open(port.address());
  REQUIRE(open.send("GET / HTTP/1.1\r\n\r\n"));
  CHECK(contains(open.read_line(), "200"));
  auto upgrade = app.site().launch("upgrade", {program("forks_v2")});
  CHECK(eventually([&] { return contains(http_get(port.address()), "v2"); }));
  CHECK(upgrade.running());
  REQUIRE(open.send("GET / HTTP/1.1\r\nConnection: close\r\n\r\n"));
  const std::string rest = open.read_all();
  CHECK_MESSAGE(contains(rest, "v1HTTP/1.1 200"), rest);  // behind the first answer
  CHECK_MESSAGE(rest.ends_with("v1"), rest);
  CHECK(upgrade.wait().status == Exit::ok);
}

// Of the user nobody; false, with a message: it cannot run here.
bool can_run_as_nobody(Scenario& scenario) {
  if (::geteuid() != 0) {
    MESSAGE("needs root: left out");
    return false;
  }
  ::chmod(scenario.dir.path().c_str(), 0711);
  Site site(scenario, "nobody");
  return become_nobody(site);
}

TEST_CASE_FIXTURE(Scenario, "a program and a script run as the user of --user") {
  if (!can_run_as_nobody(*this)) return;
  write_file(dir / "server.pl", read_file(PROGRAM_SOURCES "/http.pl"));
  for (const std::string& path : Words{program("poll_v1"), dir / "server.pl"}) {
    CAPTURE(path);
    const Port port;
    Instance app(*this, path, {"--user", "nobody", "--forks", "1"}, {port.text()});
    for (int i = 0; i < 2; ++i) {
      CHECK(contains(http_get(port.address()), "200 OK"));
      CHECK(proc::status_number(app.workers().at(0), "Uid") == 65534);
      CHECK(app.upgrade(path).status == Exit::ok);
    }
  }
}

TEST_CASE_FIXTURE(Scenario,
                  "nginx as it is installed" * doctest::skip(!std::filesystem::exists("/usr/sbin/nginx"))) {
  const Port port;
  write_file(dir / "nginx.conf", "events {}\npid " + (dir / "nginx.pid") +
                                     ";\nerror_log stderr;\nhttp { access_log off; "
                                     "server { listen " +
                                     port.address() + "; location / { return 200 'v1'; } } }\n");
  const Words arguments{"-c", dir / "nginx.conf", "-g", "daemon off; master_process off;"};
  Instance app(*this, "/usr/sbin/nginx", {}, arguments);
  Load load(*this, port.address(), {"--rate", "300", "--any-body"});
  Sessions sessions({port.address()}, {.clients = 8, .requests = 0, .pause = milliseconds(25)});
  REQUIRE(sessions.all_began());
  for (int i = 1; i <= upgrades; ++i) {
    const auto before = app.workers();
    const auto finished = app.upgrade("/usr/sbin/nginx");
    REQUIRE_MESSAGE(finished.status == Exit::ok, "upgrade ", i, ": ", finished.err);
    CHECK(eventually([&] { return all_gone(before); }));
  }
  for (const auto& [what, count] : sessions.stop()) FAIL_CHECK(count, " times: ", what);
  const auto report = load.stop();
  report.check_nothing_lost();
  MESSAGE("nginx: ", upgrades, " upgrades, ", report.attempts(), " attempts and ", sessions.answers(),
          " on connections that were never closed, 0 failed");
}

}  // namespace
}  // namespace scenario
