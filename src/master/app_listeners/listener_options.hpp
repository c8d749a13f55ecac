#pragma once

#include <string>
#include <vector>

#include "base/error.hpp"
#include "rollout/option_ledger.hpp"

namespace liveswap::master {

// Socket options that applications set on listeners (rollout/option_ledger.hpp). Worker hosts report which
// option was set (LIVESWAP_OPTION); the master reads the values.

using rollout::OptionName;
using rollout::OptionValue;
using rollout::OptionValues;

// "TCP_DEFER_ACCEPT"
std::string text_of(const OptionName& option);

// Known options of listeners that can be read.
OptionValues options_of(int fd);
OptionValue option_of(int fd, const OptionName& option);

// Whether a listener can have the option, readable or not.
bool is_known(const OptionName& option);
// The options that the kernel changes with this one, itself first.
std::vector<OptionName> set_with(const OptionName& option);

// Sets a value that was read. If the option cannot be read, removes the key, filter or device. An error
// names the option.
Result<void> put_back(int fd, const OptionName& option, const OptionValue& value);

}  // namespace liveswap::master
