// Like tests.hpp, for tests of the master's parts.
#include <fmt/format.h>
#include <uv.h>

#include "tests.hpp"
