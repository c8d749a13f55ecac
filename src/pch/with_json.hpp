// As with_fmt.hpp, for layers that may use JSON.
#include <nlohmann/json.hpp>

#include "with_fmt.hpp"
