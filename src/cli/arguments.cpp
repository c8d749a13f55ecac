#include "cli/arguments.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cxxopts.hpp>

#include "cli/option_table.hpp"
#include "client/command_line.hpp"
#include "config/nearest.hpp"
#include "config/quote.hpp"
#include "config/values.hpp"
#include "config/wishes.hpp"
#include "protocol/command_line.hpp"

namespace liveswap::cli {
namespace {

using config::in_quotes;
using Words = std::vector<std::string>;

// The command line as parsed by cxxopts: options by long name in order, and the other words.
struct Split {
  std::vector<std::pair<std::string, std::string>> options;
  Words others;
  std::optional<Words> behind;  // the words after "--"
};

cxxopts::Options known_options() {
  cxxopts::Options known("liveswap");
  known.allow_unrecognised_options();
  auto add = known.add_options();
  for (const Option& option : option_table()) {
    // All options are text: cxxopts would split lists at commas, and its error messages do not say what was
    // expected.
    auto value = cxxopts::value<std::string>();
    if (option.takes != Takes::text) value->implicit_value("");
    const std::string letter(option.letter);
    add((letter.empty() ? "" : letter + ",") + std::string(option.name), "", value);
  }
  return known;
}

tl::unexpected<Error> unknown_option(const std::string& word) {
  const std::string name = word.substr(0, word.find('='));
  std::vector<std::string_view> names;
  for (const Option& option : option_table()) names.push_back(option.name);
  const auto meant = name.size() > 3 ? config::nearest(name.substr(2), names) : std::nullopt;
  return fail(fmt::format("unknown option {}, {}", in_quotes(name),
                          meant ? fmt::format("did you mean --{}?", *meant) : "see `liveswap help`"));
}

// Behind a command that starts an application, `--start FILE` is `--start-file FILE`; without a command it is
// `start FILE`.
void name_start_file(Split& line) {
  const bool starts =
      !line.others.empty() &&
      (line.others.front() == "start" || line.others.front() == "check" || line.others.front() == "verify");
  if (!starts) return;
  for (auto& [name, text] : line.options)
    if (name == "start") name = "start-file";
}

Result<Split> split(const Words& words) {
  Split result;
  const auto end = std::find(words.begin(), words.end(), "--");
  if (end != words.end()) result.behind.emplace(end + 1, words.end());
  std::vector<const char*> argv{"liveswap"};
  for (auto it = words.begin(); it != end; ++it) argv.push_back(it->c_str());
  try {
    auto known = known_options();
    const auto parsed = known.parse(static_cast<int>(argv.size()), argv.data());
    for (const auto& option : parsed.arguments()) result.options.emplace_back(option.key(), option.value());
    result.others = parsed.unmatched();
    name_start_file(result);
  } catch (const cxxopts::exceptions::exception& error) {
    return fail(error.what());
  }
  for (const auto& word : result.others)
    if (word.size() > 1 && word.front() == '-') return unknown_option(word);
  for (const auto& [name, text] : result.options)
    if (find_option(name)->takes == Takes::nothing && !text.empty())
      return fail(fmt::format("--{} takes no value, found {}", name, in_quotes(text)));
  return result;
}

std::optional<Command> command_of(std::string_view text) {
  const auto found = std::find(command_words.begin(), command_words.end(), text);
  if (found == command_words.end()) return std::nullopt;
  return static_cast<Command>(found - command_words.begin());
}

tl::unexpected<Error> several(std::string_view one, std::string_view other) {
  return fail(fmt::format("found {} and {}, expected one command", one, other));
}

constexpr Milliseconds usual_interval{1'000}, least_interval{100};

// Names of commands in other tools.
constexpr std::pair<std::string_view, std::string_view> other_words[] = {
    {"restart", "upgrade"}, {"deploy", "upgrade"}, {"update", "upgrade"},  {"swap", "upgrade"},
    {"run", "start"},       {"quit", "stop"},      {"shutdown", "stop"},   {"exit", "stop"},
    {"ls", "list"},         {"ps", "list"},        {"log", "history"},     {"scale", "forks"},
    {"workers", "forks"},   {"undo", "rollback"},  {"revert", "rollback"}, {"cancel", "abort"},
    {"info", "status"},     {"test", "check"},     {"send", "message"}};

tl::unexpected<Error> unknown_command(const std::string& word) {
  for (const auto& [other, ours] : other_words)
    if (word == other)
      return fail(fmt::format("unknown command {}, did you mean \"{}\"?", in_quotes(word), ours));
  return fail(fmt::format("unknown command {}{}", in_quotes(word), config::suggestion(word, command_words)));
}

// Flags that stand for a command (`-u PATH`), for compatibility with the original implementation: the name of
// the option is the command, its value the operand.
Result<void> take_flag(Arguments& arguments, Split& line, std::string& flag) {
  for (const auto& [name, text] : line.options) {
    if (find_option(name)->section != Section::action) continue;
    if (!flag.empty()) return several(flag, "--" + name);
    flag = "--" + name;
    arguments.command = command_of(name);
    if (!text.empty()) line.others.insert(line.others.begin(), text);
    // cxxopts accepts an optional value only as --name=value, so the next word counts as the value too.
    const std::size_t allowed = find_option(name)->takes == Takes::nothing ? 0 : 1;
    const auto command = std::find_if(line.others.begin() + (text.empty() ? 0 : 1), line.others.end(),
                                      [](const std::string& other) { return command_of(other).has_value(); });
    if (command != line.others.end()) return several(flag, *command);
    if (line.others.size() > allowed)
      return fail(fmt::format("{}: found {}, expected nothing more", flag, in_quotes(line.others[allowed])));
  }
  return {};
}

Result<void> take_command(Arguments& arguments, Split& line) {
  std::string flag;
  if (auto taken = take_flag(arguments, line, flag); !taken) return taken;
  if (arguments.command || line.others.empty()) return {};
  arguments.command = command_of(line.others.front());
  if (!arguments.command) return unknown_command(line.others.front());
  line.others.erase(line.others.begin());
  return {};
}

// `help` and `version` are aliases of the options; an operand of `help` is a command.
Result<void> take_help(Arguments& arguments, Split& line) {
  if (arguments.command == Command::version) arguments.version = true;
  if (arguments.command != Command::help || arguments.help) return {};
  arguments.help = true;
  arguments.command.reset();
  if (line.others.empty()) return {};
  arguments.command = command_of(line.others.front());
  if (!arguments.command) return unknown_command(line.others.front());
  if (line.others.size() > 1)
    return fail(fmt::format("help: found {}, expected nothing more", in_quotes(line.others[1])));
  return {};
}

// Checks the operand of history, receipt and rollback.
Result<void> check_number(Command command, const std::string& value) {
  Result<std::uint64_t> number = 0;
  if (value.empty()) return {};
  if (command == Command::history) number = config::parse_number(value, 1, 1000);
  if (command == Command::receipt) number = config::parse_number(value, 1, UINT64_MAX);
  if (!number) return fail(fmt::format("{}: {}", word(command), number.error().text));
  if (command != Command::rollback) return {};
  const bool digits = value.find_first_not_of("0123456789") == std::string::npos;
  const bool prefix = value.size() >= 6 && value.size() <= 64 &&
                      value.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!prefix && !(digits && config::parse_number(value, 1, UINT64_MAX)))
    return fail(
        fmt::format("rollback: found {}, expected the number of a receipt in `liveswap history`, or 6 to 64 "
                    "hexadecimal digits of a release",
                    in_quotes(value)));
  return {};
}

const char* wanted(Command command) {
  if (command == Command::message) return "a text";
  if (command == Command::config) return "check FILE";
  return command == Command::forks ? "a number of workers, or auto" : "the path of a library";
}

// For a command that starts an application, words after "--" are its arguments; for others, normal operands.
Result<void> take_value(Arguments& arguments, Split& line) {
  const Command command = *arguments.command;
  const bool starts = command == Command::start || command == Command::check || command == Command::verify;
  if (starts) arguments.application = line.behind;
  else if (line.behind) line.others.insert(line.others.end(), line.behind->begin(), line.behind->end());

  const bool path = command == Command::start || command == Command::upgrade;
  const bool optional =
      path || command == Command::rollback || command == Command::history || command == Command::receipt;
  const bool required = command == Command::message || command == Command::forks ||
                        command == Command::check || command == Command::verify || command == Command::config;
  const bool two = command == Command::verify || command == Command::config;
  const std::size_t most = two ? 2 : optional || required ? 1 : 0;
  if (line.others.size() > most)
    return fail(fmt::format("{}: found {}, expected nothing more{}", word(command),
                            in_quotes(line.others[most]),
                            starts                        ? "; arguments for the application stand behind --"
                            : command == Command::message ? "; quote a text with spaces"
                                                          : ""));
  if (!line.others.empty()) arguments.value = line.others.front();
  if (line.others.size() > 1) arguments.second = line.others[1];
  if (path && !line.others.empty() && arguments.value.empty())
    return fail(
        fmt::format("{}: found an empty path, expected one of a library, or none at all", word(command)));
  if (required && arguments.value.empty())
    return fail(fmt::format("{}: expected {}", word(command), wanted(command)));
  if (command == Command::config && arguments.value != "check")
    return fail(fmt::format("config: found {}, expected check FILE", in_quotes(arguments.value)));
  if (command == Command::config && arguments.second.empty()) return fail("config check: expected FILE");
  return check_number(command, arguments.value);
}

Result<void> check_options(Command command, const Split& line) {
  for (const auto& [name, text] : line.options) {
    const Commands commands = find_option(name)->commands;
    if (contains(commands, command)) continue;
    if (command == Command::verify && is_handed_to_start(*find_option(name))) continue;
    Words where;
    for (std::size_t i = 0; i < command_words.size(); ++i)
      if (contains(commands, static_cast<Command>(i))) where.emplace_back(command_words[i]);
    return fail(
        fmt::format("--{} means nothing to {}, only to {}", name, word(command), fmt::join(where, ", ")));
  }
  return {};
}

// Stores a parsed value, or returns an error that names the option.
template <class T, class Into>
Result<void> store(const std::string& name, const Result<T>& value, Into& into) {
  if (!value) return fail(name + ": " + value.error().text);
  into = *value;
  return {};
}

Result<std::string> text_that_is_there(const std::string& text) {
  if (text.empty()) return fail("found nothing, expected a path");
  return text;
}

Result<void> take_where(Arguments& arguments, const Split& line, const Environment& environment) {
  auto& where = arguments.where;
  where.token = environment.token;
  std::vector<Result<void>> done;
  if (!environment.port.empty())
    done.push_back(store("LIVESWAP_PORT", config::parse_port(environment.port), where.port));
  if (!environment.address.empty())
    done.push_back(
        store("LIVESWAP_ADDRESS", config::parse_control_address(environment.address), where.address));
  for (const auto& [name, text] : line.options) {
    const std::string shown = "--" + name;
    if (name == "port") done.push_back(store(shown, config::parse_port(text), where.port));
    if (name == "address") done.push_back(store(shown, config::parse_control_address(text), where.address));
    if (name == "timeout") done.push_back(store(shown, config::parse_duration(text), where.timeout));
    if (name == "binary") done.push_back(store(shown, text_that_is_there(text), arguments.value));
    if (name == "state-dir") done.push_back(store(shown, text_that_is_there(text), where.state_dir));
    if (name == "runtime-dir") done.push_back(store(shown, text_that_is_there(text), where.runtime_dir));
  }
  for (auto& result : done)
    if (!result) return std::move(result);
  return {};
}

// `--watch`, `--watch=2s` or `--watch 2s`; cxxopts does not support the last form.
Result<void> take_watch(Arguments& arguments, Split& line) {
  for (const auto& [name, text] : line.options) {
    if (name != "watch") continue;
    std::string interval = text;
    if (interval.empty() && !line.others.empty()) {
      interval = line.others.front();
      line.others.erase(line.others.begin());
    }
    const auto time =
        interval.empty() ? Result<Milliseconds>(usual_interval) : config::parse_duration(interval);
    if (!time) return fail("--watch: " + time.error().text);
    if (*time < least_interval)
      return fail(fmt::format("--watch: found {}, expected 100ms or more", in_quotes(interval)));
    arguments.watch = *time;
  }
  return {};
}

// Collects per-upgrade options by their protocol names.
Result<void> take_wishes(Arguments& arguments, const Split& line) {
  if (*arguments.command != Command::upgrade) return {};
  for (const auto& [name, text] : line.options) {
    const Option& option = *find_option(name);
    if (name == "queue" || name == "flip") arguments.wishes[name] = "true";
    else if (name == "no-flip") arguments.wishes["flip"] = "false";
    else if (option.section == Section::pace) arguments.wishes[name] = text;
  }
  if (auto checked = config::check_wishes(arguments.wishes); !checked)
    return fail("--" + checked.error().text);
  return {};
}

void take_settings(Arguments& arguments, const Split& line) {
  for (const auto& [name, text] : line.options) {
    if (name == "daemon") arguments.daemon = true;
    else if (name == "restart") arguments.restart = true;
    else if (name == "config") arguments.config = text;
    else if (find_option(name)->section != Section::action) arguments.settings.emplace_back(name, text);
  }
}

}  // namespace

Result<Arguments> parse_arguments(const Words& words, const Environment& environment) {
  auto line = split(words);
  if (!line) return tl::unexpected<Error>(line.error());
  const auto has = [&](std::string_view name) {
    return std::any_of(line->options.begin(), line->options.end(),
                       [&](const auto& o) { return o.first == name; });
  };
  Arguments arguments;
  arguments.nothing = words.empty();
  arguments.help = has("help");
  arguments.version = has("version");
  auto taken = take_command(arguments, *line);
  if ((arguments.help || arguments.version || arguments.nothing) && arguments.command != Command::help)
    return arguments;
  if (taken) taken = take_help(arguments, *line);
  if (!taken) return tl::unexpected<Error>(taken.error());
  if (arguments.help || arguments.version) return arguments;
  if (!arguments.command) return fail(fmt::format("expected a command: {}", fmt::join(command_words, ", ")));

  arguments.detach = has("detach");
  arguments.json = has("json");
  arguments.dry_run = has("dry-run");
  Result<void> done = check_options(*arguments.command, *line);
  const bool has_settings = *arguments.command == Command::start || *arguments.command == Command::check ||
                            *arguments.command == Command::verify;
  if (done && has_settings) take_settings(arguments, *line);
  else if (done) done = take_where(arguments, *line, environment);
  if (done) done = take_watch(arguments, *line);
  if (done) done = take_value(arguments, *line);
  if (done) done = take_wishes(arguments, *line);
  if (done && arguments.json && arguments.detach)
    done = fail(
        "found --json and --detach, expected one of the two: the receipt is there when the upgrade is done");
  if (!done) return fail(protocol::with_options(done.error().text, client::options_of(arguments.where)));
  return arguments;
}

}  // namespace liveswap::cli
