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

}  // namespace scenario
