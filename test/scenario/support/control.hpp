#pragma once

#include <string>

#include "support/connection.hpp"
#include "support/instance.hpp"

// The control protocol without the command line, which sends only correct input.
namespace scenario {

std::string local_door(const Site& site);
std::string tcp_door(const Site& site);
std::string token_of(const Site& site);

// The next answer; skips events. Fails the test if there is none.
Json answer_of(Connection& connection);

// Starts an upgrade to `target`, with more members of the command, and reads until the n-th event of that
// name; false: the upgrade ended before.
bool upgrade_until(const Site& site, const std::string& target, const std::string& event, int count,
                   const Json& wishes = Json::object());

}  // namespace scenario
