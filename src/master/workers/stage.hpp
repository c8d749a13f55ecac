#pragma once

namespace liveswap::master {

// The word for an enum liveswap_stage that a worker host has sent; "unknown" for any other number.
const char* stage_word(int stage);

}  // namespace liveswap::master
