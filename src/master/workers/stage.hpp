#pragma once

namespace liveswap::master {

// The name of an enum liveswap_stage; "unknown" for any other number.
const char* stage_word(int stage);

}  // namespace liveswap::master
