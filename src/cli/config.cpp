#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.hpp"
#include "cli/printable.hpp"
#include "cli/run_command.hpp"
#include "cli/terminal.hpp"
#include "config/file_check.hpp"
#include "config/yaml.hpp"

namespace liveswap::cli {
namespace {

// Only root may change the user of workers, so a file that does it is one for root.
uid_t master_of(const Options& options) {
  return options.user.empty() && options.group.empty() ? ::geteuid() : 0;
}

config::CheckedFile checked_text(const std::string& text, const std::string& path) {
  const auto absolute = absolute_path(path, current_directory());
  const auto directory = std::filesystem::path(absolute).parent_path().string();
  const auto options = config::parse_yaml(text, path, directory, {});
  return config::check_file(text, path, directory, options ? master_of(*options) : ::geteuid());
}

config::CheckedFile checked_file(const std::string& path) {
  const auto text = read_small_file(path, config::file_limit);
  return text ? checked_text(*text, path) : config::CheckedFile{{}, {{0, 0, "", text.error().text}}};
}

std::string check_document(const std::string& path, const config::CheckedFile& checked) {
  using Document = nlohmann::ordered_json;
  const auto known = [](bool is, Document value) { return is ? std::move(value) : Document(); };
  Document errors = Document::array();
  for (const auto& problem : checked.problems)
    errors.push_back({{"line", known(problem.line > 0, problem.line)},
                      {"column", known(problem.line > 0, problem.column)},
                      {"key", known(!problem.key.empty(), problem.key)},
                      {"text", problem.text}});
  const Document object{{"file", path}, {"result", errors.empty() ? "ok" : "failed"}, {"errors", errors}};
  return object.dump(-1, ' ', false, Document::error_handler_t::replace);
}

}  // namespace

int run_config(const Arguments& arguments) {
  const std::string& path = arguments.second;
  const auto checked = checked_file(path);
  if (arguments.json) {
    print(printable_json(check_document(path, checked)) + "\n");
  } else if (checked.problems.empty()) {
    print(printable(path) + ": no errors\n");
  } else {
    for (const auto& problem : checked.problems) complain(config::problem_text(problem, path));
  }
  return checked.problems.empty() ? ok : usage;
}

}  // namespace liveswap::cli
