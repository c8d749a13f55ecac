#pragma once

#include <unistd.h>

#include "base/error.hpp"
#include "liveswap.hpp"

namespace liveswap::config {

// What a master relies on, whoever filled the options: the command line, a file or an embedding program.
// Returns them with a name for every listener (its number when it had none). The error has everything that is
// wrong, one a line: `option: found …, expected …`, options by their words on the command line. Pure but for
// the default of `user`, the effective user that the master runs as; files are not looked at.
Result<Options> validate(Options options, uid_t user = ::geteuid());

}  // namespace liveswap::config
