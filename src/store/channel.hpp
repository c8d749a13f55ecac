#pragma once

#include <string>

namespace liveswap::store {

// The channel to the master, at its place in the descriptors (contract/channel.h). False: this process was
// not started by one.
bool adopt_channel();

// Each ends what there is to say. False: the master has gone. Waits for a master that does not read.
bool send_done(const std::string& text);
bool send_document(
    const std::string& text);  // of any length: as a file in memory, whose descriptor goes with the frame
bool send_refused(const std::string& why);
bool send_failed(const std::string& why);

}  // namespace liveswap::store
