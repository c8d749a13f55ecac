// Compares the documents with the tables of commands, options and keys.
#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <regex>
#include <sstream>
#include <string>
#include <tuple>

#include "cli/command_table.hpp"
#include "cli/start_options.hpp"
#include "config/settings.hpp"
#include "config/yaml.hpp"
#include "made_parts.hpp"

using namespace liveswap::cli;
using liveswap::config::find_setting;

namespace {

std::string document(const std::string& name) {
  std::ifstream file(SOURCE_ROOT "/" + name);
  REQUIRE(file);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool has(const std::string& text, const std::string& pattern) {
  return std::regex_search(text, std::regex(pattern));
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++found;
  return found;
}

// All members that the option table sets. `target` and `arguments` are no options.
auto members(const liveswap::Options& o) {
  const auto amount = [](const liveswap::Amount& a) { return std::pair(a.value, a.percent); };
  return std::tuple(o.force_target, o.port, o.address, o.forks, o.zero_downtime, o.listen_mode, o.backlog,
                    o.entry, o.intercept, o.keepalive, o.keepalive_grace, o.await_listener, o.batch,
                    amount(o.surge), amount(o.max_draining), o.flip, amount(o.canary), o.bake, o.probation,
                    o.max_memory, o.health_interval, o.health_limit, o.liveness, o.liveness_interval,
                    o.liveness_limit, o.liveness_failures, o.keep_releases, o.settle, o.ready_limit,
                    o.listener_wait, o.drain_limit, o.term_grace, o.pre_upgrade_limit, o.check_limit,
                    o.backoff_min, o.backoff_max, o.backoff_reset, o.auth);
}

// Whether start accepts this text as the option's value, with defaults for the others.
bool is_taken(const Option& option, const std::string& text) {
  Arguments arguments;
  arguments.settings = {{std::string(option.name), text}};
  return start_options(arguments).has_value();
}

bool is_value(const Option& option) {
  static const std::vector<std::string_view> in_words{"PATH", "FILE", "DIR", "USER", "GROUP"};
  return contains(option.commands, Command::start) && option.takes != Takes::nothing &&
         find_setting(option.name) &&
         std::find(in_words.begin(), in_words.end(), option.argument) == in_words.end();
}

}  // namespace

TEST_CASE("the made parts of the documents are as the tables are; if not: ninja -C build-test documents") {
  for (const auto& path : liveswap::documents::paths()) {
    CAPTURE(path);
    const std::string text = document(path);
    CHECK(text.find("made: end") != std::string::npos);
    const bool as_made = liveswap::documents::with_made_parts(path, text) == text;
    CHECK_MESSAGE(as_made,
                  "differs from the tables in src/cli and src/config; run: ninja -C build-test documents");
  }
}

TEST_CASE("a document without the end of a part is refused, and so is a part that nobody knows") {
  using liveswap::documents::with_made_parts;
  CHECK(with_made_parts("x.md", "a\n<!-- made: exit-statuses -->\nstale\n<!-- made: end -->\nb\n")
            .find("stale") == std::string::npos);
  CHECK_THROWS(with_made_parts("x.md", "<!-- made: options -->\n"));
  CHECK_THROWS(with_made_parts("x.md", "<!-- made: nonsense -->\n<!-- made: end -->\n"));
}

TEST_CASE("reference and manual page have every command and every option, and no other option") {
  const std::string manual = document("docs/liveswap.1"), options = document("docs/reference/options.md"),
                    commands = document("docs/reference/commands.md");
  for (const auto word : command_words) {
    CAPTURE(word);
    CHECK(has(manual, "\n\\.It Cm " + std::string(word) + "\\b"));
    CHECK(has(commands, "\n## " + std::string(word) + "\n"));
  }
  std::size_t all = 0;
  for (const Option& option : option_table()) {
    if (option.section == Section::action) continue;
    ++all;
    CAPTURE(option.name);
    const std::string name(option.name);
    CHECK(has(manual, "\n\\.It (Fl . , )?Fl -" + name + "( Ar .*)?\n"));
    CHECK(has(options, "\n### `(-., )?--" + name + "( [^`]*)?`\n"));
  }
  CHECK(count(options, "\n### ") == all);
  CHECK(count(manual, "\n.It Fl ") == all);
}

TEST_CASE("the default that the table tells is the one that holds") {
  for (const Option& option : option_table()) {
    if (!is_value(option)) continue;
    CAPTURE(option.name);
    REQUIRE_FALSE(option.preset.empty());
    liveswap::Options options;
    const auto set = find_setting(option.name)->set(options, std::string(option.preset), "/");
    CHECK(set.has_value());
    CHECK(members(options) == members({}));
  }
}

TEST_CASE("the values that the table tells are taken, those beyond are not") {
  // "1 to 1024, or auto", "0% to 1000%", "--backoff-min to 576h". Bounds that are other options are left out.
  static const std::regex lowest("(\\d+)(ms|%|) to "), highest(" to (\\d+)(h|%|)");
  std::size_t bounds = 0;
  for (const Option& option : option_table()) {
    if (!is_value(option)) continue;
    CAPTURE(option.name);
    const std::string values(option.values);
    const auto check = [&](const std::regex& bound, int beyond) {
      for (std::sregex_iterator it(values.begin(), values.end(), bound), end; it != end; ++it, ++bounds) {
        const auto number = std::stoll((*it)[1]);
        const std::string unit = (*it)[2];
        CAPTURE(it->str());
        CHECK(is_taken(option, std::to_string(number) + unit));
        if (number + beyond >= 0) CHECK_FALSE(is_taken(option, std::to_string(number + beyond) + unit));
      }
    };
    check(lowest, -1);
    check(highest, +1);
    if (values.ends_with(", or none")) CHECK(is_taken(option, "none"));
    if (values.ends_with(", or auto")) CHECK(is_taken(option, "auto"));
  }
  CHECK(bounds >= 40);
}

TEST_CASE("every key of the file that has an option has its values") {
  for (const auto name : liveswap::config::key_names()) {
    CAPTURE(name);
    CHECK(
        has(document("docs/reference/configuration.md"), "\n\\| `" + std::string(name) + "` \\| [^|]+ \\|"));
  }
}
