#include "master/workers/stage.hpp"

#include "contract/channel.h"

namespace liveswap::master {

const char* stage_word(int stage) {
  switch (static_cast<liveswap_stage>(stage)) {
    case LIVESWAP_STAGE_SPAWN: return "spawn";
    case LIVESWAP_STAGE_OPEN: return "open";
    case LIVESWAP_STAGE_LINK: return "link";
    case LIVESWAP_STAGE_ENTRY: return "entry";
    case LIVESWAP_STAGE_ABI: return "ABI";
    case LIVESWAP_STAGE_SELFTEST: return "selftest";
    case LIVESWAP_STAGE_START: return "start";
    case LIVESWAP_STAGE_READY: return "ready";
    case LIVESWAP_STAGE_RUN: return "run";
  }
  return "unknown";
}

}  // namespace liveswap::master
