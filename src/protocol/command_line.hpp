#pragma once

#include <cstdint>
#include <string>
#include <string_view>

// Command lines in texts for people: they are copied, so each one must work as it stands. Pure.
namespace liveswap::protocol {

// " -p 3001", " --state-dir '/srv/a b'": an option with its value as a shell takes it.
std::string option(std::string_view name, std::string_view value);

// " -p 3001"; nothing for the default port.
std::string port_option(std::uint16_t port);

// The same text with `options` behind every command that stands in it as `liveswap COMMAND ...` between backquotes
// and is for one instance (`liveswap help` is for none). A text from a master is completed by its client, which knows
// how the instance was addressed.
std::string with_options(std::string_view text, std::string_view options);

}  // namespace liveswap::protocol
