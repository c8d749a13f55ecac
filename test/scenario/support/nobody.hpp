#pragma once

#include "support/instance.hpp"

namespace scenario {

// Makes the commands of a site run without root's rights. Does nothing when the test has none. False, with a
// message, when there is no way: the build is somewhere that nobody else may look into.
bool become_nobody(Site& site);

}  // namespace scenario
