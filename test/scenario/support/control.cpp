#include "support/control.hpp"

#include <doctest/doctest.h>

namespace scenario {

std::string local_door(const Site& site) { return "unix:" + site.control_socket(); }

std::string tcp_door(const Site& site) { return "127.0.0.1:" + site.control_port(); }

std::string token_of(const Site& site) {
  auto token = read_file(site.state_dir() + "/token");
  if (token.ends_with('\n')) token.pop_back();
  return token;
}

Json answer_of(Connection& connection) {
  for (;;) {
    const auto line = connection.read_line();
    const auto json = Json::parse(line, nullptr, false);
    REQUIRE_MESSAGE(json.is_object(), "no answer but: ", line);
    if (json.contains("cmd")) return json;
  }
}

bool upgrade_until(const Site& site, const std::string& target, const std::string& event, int count,
                   const Json& wishes) {
  Connection client(local_door(site));
  Json command{{"cmd", "upgrade"}, {"value", target}};
  command.update(wishes);
  REQUIRE(client.send(command.dump() + "\n"));
  for (;;) {
    const auto line = Json::parse(client.read_line(), nullptr, false);
    REQUIRE(line.is_object());
    if (line.contains("cmd")) return false;
    if (line["event"] == event && --count == 0) return true;
  }
}

}  // namespace scenario
