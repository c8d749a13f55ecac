#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/message.hpp"

// Command lines in texts for people: they are copied, so each one must work as it stands. Pure.
namespace liveswap::protocol {

// " -p 3001", " --state-dir '/srv/a b'": an option with its value as a shell takes it.
std::string option(std::string_view name, std::string_view value);

// " -p 3001"; nothing for the default port.
std::string port_option(std::uint16_t port);

// " --state-dir /srv/a --runtime-dir /run/a": those that are not empty.
std::string directory_options(const std::string& state_dir, const std::string& runtime_dir);

// The same text with `options` behind every command that stands in it as `liveswap COMMAND ...` between
// backquotes and is for one instance (`liveswap help` is for none). Each text is completed once, by the
// process that shows it first: run() completes what it logs, reports and returns; client::exchange()
// completes the answer of a master, since the client knows how the instance was addressed.
std::string with_options(std::string_view text, std::string_view options);
// A document with every text in it completed.
Json document_with_options(Json document, std::string_view options);

}  // namespace liveswap::protocol
