#pragma once

#include <string>
#include <string_view>

namespace liveswap::cli {

// Text from elsewhere, fit for a terminal: control characters, also those above 0x7f, and bytes that are no
// UTF-8 as \xNN. A newline stays where `lines` says so.
std::string shown(std::string_view text, bool lines = false);

// A line of JSON, fit for a terminal and still the same JSON: control characters as \u00NN.
std::string shown_json(std::string_view line);

// Columns that shown text takes: one for each character.
std::size_t columns(std::string_view text);

// Shown text of at most `width` columns, with "..." where something was left out; 0: as it is.
std::string cut(const std::string& text, std::size_t width);

}  // namespace liveswap::cli
