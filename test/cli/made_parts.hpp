#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/option_table.hpp"

// Parts of documents that are made from the tables of src/cli and src/config, so that an option is described
// once. A part stands between two lines of its document: one with `made: NAME`, and one with `made: end`.
namespace liveswap::documents {

// Those that have such parts, by their paths in the source tree.
const std::vector<std::string>& paths();

// The text of a document with each of its parts made anew; how a part is written depends on the name of the
// file. Throws std::runtime_error for a part that nobody knows, or that has no end.
std::string with_made_parts(const std::string& path, const std::string& text);

// One part: `commands`, `options`, `exit-statuses`, `environment` in any form, `keys` in Markdown.
std::string markdown_part(std::string_view name);
std::string manual_part(std::string_view name);  // mdoc
std::string shell_part(std::string_view name);   // `words`: functions of bash

// ---- what the three have in common ----

// The key of the configuration file that has the same meaning; empty: none has.
std::string_view key_of(const cli::Option& option);

// "start, upgrade", or what these commands have in common.
std::string commands_text(cli::Commands commands);

// A text of the tables as a sentence.
std::string sentence(std::string_view text);

// A text of the tables, cut where a literal word (in backquotes, or an option) or a link begins or ends.
struct Piece {
  enum class Kind { plain, literal, link };
  Kind kind;
  std::string text;
  std::string target;  // of a link, from docs/reference/
};
std::vector<Piece> pieces(std::string_view text);

}  // namespace liveswap::documents
