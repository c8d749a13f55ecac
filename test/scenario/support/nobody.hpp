#pragma once

#include "support/instance.hpp"

namespace scenario {

// Makes the commands of a site run as the user nobody. Does nothing if the test does not run as root. False,
// with a message: impossible, because that user cannot reach the build directory.
bool become_nobody(Site& site);

}  // namespace scenario
