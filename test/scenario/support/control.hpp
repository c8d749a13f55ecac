#pragma once

#include <string>

#include "support/connection.hpp"
#include "support/instance.hpp"

// The control protocol by hand, where the command line would be too well-behaved.
namespace scenario {

std::string local_door(const Site& site);
std::string tcp_door(const Site& site);
std::string token_of(const Site& site);

// The next line that is an answer; events before it are passed over. Fails the test when none comes.
Json answer_of(Connection& connection);

}  // namespace scenario
