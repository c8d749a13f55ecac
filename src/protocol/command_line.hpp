#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/message.hpp"

// Command lines in texts for people. Users copy them to a shell, so each must be complete and quoted. Pure.
namespace liveswap::protocol {

// An option with its value, quoted for a shell: " -p 3001", " --state-dir '/srv/a b'".
std::string option(std::string_view name, std::string_view value);

// " -p 3001"; empty for the default port.
std::string port_option(std::uint16_t port);

// " --state-dir /srv/a --runtime-dir /run/a", without the empty ones.
std::string directory_options(const std::string& state_dir, const std::string& runtime_dir);

// Appends `options` to every `liveswap COMMAND ...` between backquotes in `text`, except to commands that
// address no instance (`liveswap help`). Must be applied exactly once to a text. In the master, run() applies
// it to log lines, notices and the outcome. Answers and events are sent without these options: the client
// adds those with which it reaches the instance (client::exchange(), cli::Progress).
std::string with_options(std::string_view text, std::string_view options);
// The same for every text in a document.
Json document_with_options(Json document, std::string_view options);

}  // namespace liveswap::protocol
