#pragma once

#include <string>

namespace liveswap::store {

// Sets up the channel to the master at its fixed descriptor (contract/channel.h). False: not started by a
// master.
bool adopt_channel();

// Each sends the final answer. Blocks while the master does not read. False: the master has exited.
bool send_done(const std::string& text);
bool send_document(const std::string& text);  // any length: sent as a memfd with the frame
bool send_refused(const std::string& why);
bool send_failed(const std::string& why);

}  // namespace liveswap::store
