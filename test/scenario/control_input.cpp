// Input to the control server that is no command has no effect.
#include <doctest/doctest.h>
#include <unistd.h>

#include "support/connection.hpp"
#include "support/control.hpp"
#include "support/instance.hpp"
#include "support/nobody.hpp"

namespace scenario {
namespace {

const std::string then_die = "{\"cmd\":\"die\",\"value\":\"\"}\n";

struct Junk {
  const char* what;
  std::string bytes;
};

std::vector<Junk> junk() {
  const std::string tls_hello("\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03 0123456789abcdef\x00\x02\x13\x01",
                              31);
  return {
      {"a line that is too long", std::string(70'000, '{') + "\n"},
      {"a long line without an end", std::string(200'000, 'x')},
      {"a long line that would be JSON",
       "{\"cmd\":\"status\",\"value\":\"" + std::string(66'000, 'y') + "\"}\n"},
      {"no JSON", "hello\n"},
      {"half of JSON", "{\"cmd\":\"status\"\n"},
      {"JSON that is no object", "[\"status\"]\n"},
      {"an empty line", "\n"},
      {"no command", "{\"value\":\"status\"}\n"},
      {"an unknown command", "{\"cmd\":\"fly\"}\n"},
      {"a command that is no text", "{\"cmd\":7}\n"},
      {"a value of the wrong type", "{\"cmd\":\"upgrade\",\"value\":[1,2]}\n"},
      {"JSON nested without end", std::string(60'000, '[') + "\n"},
      {"bytes that are no UTF-8", "{\"cmd\":\"\xff\xfe\"}\n"},
      {"NUL bytes", std::string(100, '\0') + "\n"},
      {"an HTTP request", "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n"},
      {"a TLS hello", tls_hello + "\n"},
  };
}

void swallow_junk(const Instance& app, const std::string& door) {
  for (const auto& [what, bytes] : junk()) {
    CAPTURE(what);
    Connection connection(door);
    connection.send(bytes + then_die);
    const auto answer = connection.read_line();
    if (!answer.empty()) CHECK(contains(answer, "\"error\""));
    CHECK(connection.ends());
  }
  CHECK(contains(http_get(app.address()), "v1"));
}

TEST_CASE_FIXTURE(Scenario, "junk on the Unix socket ends the connection and nothing else") {
  Instance app(*this, fixture("version_v1"));
  swallow_junk(app, local_door(app.site()));
  CHECK(app.master().running());
  CHECK(app.serves(fixture("version_v1")));
}

TEST_CASE_FIXTURE(Scenario, "junk on the TCP port ends the connection and nothing else") {
  Instance app(*this, fixture("version_v1"));
  swallow_junk(app, tcp_door(app.site()));
  CHECK(app.master().running());
  CHECK(app.serves(fixture("version_v1")));
}

TEST_CASE_FIXTURE(Scenario, "a connection that ends in the middle of a line does nothing") {
  Instance app(*this, fixture("version_v1"));
  for (const auto& door : {local_door(app.site()), tcp_door(app.site())})
    Connection(door).send("{\"cmd\":\"die\"}");
  CHECK(app.serves(fixture("version_v1")));
}

TEST_CASE_FIXTURE(Scenario, "commands come in pieces and in heaps") {
  Instance app(*this, fixture("version_v1"));
  Connection connection(local_door(app.site()));
  const std::string line = "{\"cmd\":\"status\"}\r\n";
  for (const char c : line) CHECK(connection.send({c}));
  CHECK(contains(connection.read_line(), "\"OK\""));
  CHECK(connection.send(line + line + line));
  for (int i = 0; i < 3; ++i) CHECK(contains(connection.read_line(), "\"OK\""));
}

TEST_CASE_FIXTURE(Scenario, "TCP needs the token") {
  Instance app(*this, fixture("version_v1"));
  const auto right = token_of(app.site());
  CHECK(right.size() == 64);
  for (const std::string& wrong : {std::string(), std::string("0"), std::string(64, '0'), right + "0"}) {
    CAPTURE(wrong);
    Connection connection(tcp_door(app.site()));
    connection.send(Json{{"cmd", "die"}, {"token", wrong}}.dump() + "\n");
    const auto answer = Json::parse(connection.read_line());
    CHECK(answer.value("status", "") == "refused");
    CHECK(connection.ends());
  }
  Connection connection(tcp_door(app.site()));
  connection.send(Json{{"cmd", "status"}, {"token", right}}.dump() + "\n");
  CHECK(Json::parse(connection.read_line())["value"] == "OK");
  CHECK(app.serves(fixture("version_v1")));
}

TEST_CASE_FIXTURE(Scenario, "without a token only on loopback, and never as root") {
  Site site(*this);
  if (::geteuid() == 0) {
    const auto as_root = site.run("start", {"--no-auth", "--listen", site.address(), fixture("version_v1")});
    CHECK(as_root.status == Exit::usage);
    CHECK(contains(as_root.err, "root"));
  }
  if (!become_nobody(site)) return;
  const auto open_to_all = site.run(
      "start", {"--no-auth", "--address", "0.0.0.0", "--listen", site.address(), fixture("version_v1")});
  CHECK(open_to_all.status == Exit::usage);
  CHECK(contains(open_to_all.err, "0.0.0.0"));
}

TEST_CASE_FIXTURE(Scenario, "the original's client works as it is, where no token is asked for") {
  const auto site = std::make_shared<Site>(*this);
  if (!become_nobody(*site)) return;
  Instance app(site, fixture("version_v1"), {"--no-auth"});
  Connection connection(tcp_door(*site));
  connection.send("{\"cmd\":\"upgrade\",\"value\":\"" + fixture("version_v2") + "\"}\n");
  const auto answer = answer_of(connection);
  CHECK(answer.value("cmd", "") == "upgrade");
  CHECK(answer.value("value", "") == "OK");
  CHECK(app.serves(fixture("version_v2")));
}

TEST_CASE_FIXTURE(Scenario,
                  "a relative path is meant from `cwd`, and without one from the master's directory") {
  const auto site = std::make_shared<Site>(*this);
  write_file(dir.directory("here") + "/libnext.so", read_file(fixture("version_v2")));
  Instance app(site, fixture("version_v1"));
  Connection connection(local_door(*site));
  Json command{{"cmd", "upgrade"}, {"value", "./libnext.so"}};
  connection.send(command.dump() + "\n");
  CHECK(answer_of(connection).value("status", "") == "refused");
  command["cwd"] = dir / "here";
  connection.send(command.dump() + "\n");
  CHECK(answer_of(connection).value("value", "") == "OK");
  CHECK(app.serves(dir / "here/libnext.so"));
}

TEST_CASE_FIXTURE(Scenario, "a requester that goes away does not stop the upgrade") {
  Instance app(*this, fixture("version_v1"));
  Connection(local_door(app.site()))
      .send(Json{{"cmd", "upgrade"}, {"value", fixture("version_v2")}}.dump() + "\n");
  CHECK(app.serves(fixture("version_v2")));
}

TEST_CASE_FIXTURE(Scenario, "a second upgrade at once is refused with what is under way") {
  Instance app(*this, fixture("version_v1"), {"--ready-limit", "3s"});
  Process first = app.site().launch("upgrade", {fixture("never_ready")});
  REQUIRE(eventually([&] { return app.status()["state"] == "upgrading"; }));
  const auto second = app.upgrade(fixture("version_v2"));
  CHECK(second.status == Exit::refused);
  CHECK(contains(second.err, fixture("never_ready")));
  CHECK(first.wait().status == Exit::reverted);
  CHECK(app.serves(fixture("version_v1")));
  CHECK(app.upgrade(fixture("version_v2")).status == Exit::ok);
}

}  // namespace
}  // namespace scenario
