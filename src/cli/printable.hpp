#pragma once

#include <string>
#include <string_view>

namespace liveswap::cli {

// Makes untrusted text safe for a terminal: control characters (C0, DEL, C1) and invalid UTF-8 become \xNN.
// `lines`: keep newlines.
std::string printable(std::string_view text, bool lines = false);

// Makes a line of JSON safe for a terminal without changing its meaning: control characters become \u00NN.
std::string printable_json(std::string_view line);

// Width of printable text: one column for each character.
std::size_t columns(std::string_view text);

// Truncates printable text to `width` columns, with "..." at the end; 0: unchanged.
std::string cut(const std::string& text, std::size_t width);

}  // namespace liveswap::cli
