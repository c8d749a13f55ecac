// As std.hpp, for layers that may use fmt.
#include <fmt/format.h>

#include "std.hpp"
