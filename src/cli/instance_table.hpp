#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "client/instances.hpp"

// What `liveswap list` prints. Pure but for the names of users.
namespace liveswap::cli {

// A list of objects as docs/reference/control-protocol.md has it.
nlohmann::json instances_json(const client::Instances& instances);

// The same for people, a line an instance. `hidden` are counted below.
std::string instance_table(const nlohmann::json& instances, std::size_t hidden);

}  // namespace liveswap::cli
