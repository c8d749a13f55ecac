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
// address no instance (`liveswap help`). The process that shows a text first does this, once: run() for its
// log, notices and outcome; client::exchange() for answers of a master, as only the client knows the options
// that reach the instance.
std::string with_options(std::string_view text, std::string_view options);
// The same for every text in a document.
Json document_with_options(Json document, std::string_view options);

}  // namespace liveswap::protocol
