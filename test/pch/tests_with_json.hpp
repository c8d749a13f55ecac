// Like tests.hpp, for tests with JSON.
#include <nlohmann/json.hpp>

#include "tests.hpp"
