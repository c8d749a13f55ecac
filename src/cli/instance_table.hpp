#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "client/instances.hpp"

// The output of `liveswap list`. Pure, except for looking up user names.
namespace liveswap::cli {

// The list of objects in docs/reference/control-protocol.md.
nlohmann::json instances_json(const client::Instances& instances);

// The same for people, one line for each instance. `hidden`: number of instances of other users.
std::string instance_table(const nlohmann::json& instances, std::size_t hidden);

}  // namespace liveswap::cli
