#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "liveswap.hpp"

namespace liveswap::config {

// `options` with what the configuration file says; what it does not mention stays. So the command line wins:
// load the file over the defaults first, then set what the command line has. A key that holds a list or a map
// replaces what was there as a whole.
//
// The file is regular, UTF-8 and has at most 1 MiB. Its relative paths are meant from its own directory and
// are made absolute. The error has every mistake of the file, one a line, each as `path:line:column: …` with
// `path` as given. Only values are checked here; validate() checks how they go together.
Result<Options> load_yaml(const std::string& path, Options options);
// The same of its content. `path` is for errors; `directory`, absolute, is that of the file. Pure.
Result<Options> parse_yaml(const std::string& text, const std::string& path, const std::string& directory,
                           Options options);

// Every key that a configuration file may have.
std::vector<std::string_view> key_names();

}  // namespace liveswap::config
