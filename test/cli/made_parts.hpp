#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/option_table.hpp"

// Generates parts of documents from the tables of src/cli and src/config, so that each option is described
// once. A part stands between two lines of its document: one with `made: NAME`, and one with `made: end`.
namespace liveswap::documents {

// The paths, in the source tree, of the documents with such parts.
const std::vector<std::string>& paths();

// The document's text with each generated part made anew. The name of the file decides the format. Throws
// std::runtime_error for a part with an unknown name, or without an end.
std::string with_made_parts(const std::string& path, const std::string& text);

// One part: `commands`, `options`, `exit-statuses` or `environment` in each format, `keys` in Markdown.
std::string markdown_part(std::string_view name);
std::string manual_part(std::string_view name);  // mdoc
std::string shell_part(std::string_view name);   // `words`: functions of bash

// ---- what the three formats have in common ----

// The key of the configuration file that sets the same value; empty: there is none.
std::string_view key_of(const cli::Option& option);

// The commands as "start, upgrade", or a name for the whole group.
std::string commands_text(cli::Commands commands);

// A text of the tables with a capital letter and a full stop.
std::string sentence(std::string_view text);

// A piece of a text: plain, a literal word (in backquotes, or an option), or a link.
struct Piece {
  enum class Kind { plain, literal, link };
  Kind kind;
  std::string text;
  std::string target;  // of a link: the path from docs/reference/
};
std::vector<Piece> pieces(std::string_view text);

}  // namespace liveswap::documents
