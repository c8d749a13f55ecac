#include "config/health.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "config/quote.hpp"
#include "config/values.hpp"

namespace liveswap::config {
namespace {

constexpr std::string_view forms = "[NAME=]connect, [NAME=]GET /path [STATUS] or run /path/to/command";

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = std::min(text.find(' ', begin), text.size());
    if (end > begin) words.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

Result<void> parse_status(const std::string& text, HealthProbe& probe) {
  const bool kind = text.size() == 3 && text.substr(1) == "xx";
  const auto number = parse_number(kind ? text.substr(0, 1) + "00" : text, 100, 599);
  if (!number)
    return fail(fmt::format("found the status {}, expected 100 to 599, or 1xx to 5xx", in_quotes(text)));
  probe.lowest_status = static_cast<unsigned>(*number);
  probe.highest_status = probe.lowest_status + (kind ? 99 : 0);
  return {};
}

Result<HealthProbe> parse_get(const std::vector<std::string>& words, std::string_view whole,
                              HealthProbe probe) {
  probe.kind = HealthProbe::Kind::get;
  if (words.size() < 2 || words.size() > 3 || words[1].front() != '/')
    return fail(fmt::format("found {}, expected GET /path, and a status or nothing", in_quotes(whole)));
  probe.path = words[1];
  if (words.size() == 3)
    if (auto status = parse_status(words[2], probe); !status) return tl::unexpected<Error>(status.error());
  return probe;
}

}  // namespace

Result<HealthProbe> parse_health(std::string_view text) {
  // The text will be part of an HTTP request, of the log and of answers.
  const bool plain =
      std::all_of(text.begin(), text.end(), [](unsigned char c) { return c >= ' ' && c != 0x7f; });
  if (!plain)
    return fail(fmt::format("found a control character in {}, expected {}", in_quotes(text), forms));
  HealthProbe probe;
  std::string_view rest = text;
  if (const auto equals = text.find('=');
      equals != std::string_view::npos && is_listener_name(text.substr(0, equals))) {
    probe.listener = text.substr(0, equals);
    rest = text.substr(equals + 1);
  }
  auto words = words_of(rest);
  if (words.size() == 1 && words[0] == "connect") return probe;
  if (!words.empty() && words[0] == "GET") return parse_get(words, text, std::move(probe));
  if (words.empty() || words[0] != "run" || !probe.listener.empty())
    return fail(fmt::format("found {}, expected {}", in_quotes(text), forms));
  if (words.size() < 2 || words[1].front() != '/')
    return fail(fmt::format("found {}, expected the absolute path of a command behind run", in_quotes(text)));
  probe.kind = HealthProbe::Kind::run;
  probe.command.assign(words.begin() + 1, words.end());
  return probe;
}

Result<LivenessCheck> parse_liveness(std::string_view text) {
  if (text == "heartbeat") return LivenessCheck{true, {}};
  auto probe = parse_health(text);
  if (probe) return LivenessCheck{false, std::move(*probe)};
  return fail(probe.error().text +
              (text.starts_with("GET") || text.starts_with("run ") ? "" : ", or heartbeat"));
}

Result<void> match_health(const HealthProbe& probe, const std::vector<std::string>& listeners) {
  if (probe.kind == HealthProbe::Kind::run) return {};
  if (listeners.empty())
    return fail(
        fmt::format("found {}, but there is no listener to probe (--listen)", in_quotes(health_text(probe))));
  if (probe.listener.empty() ||
      std::find(listeners.begin(), listeners.end(), probe.listener) != listeners.end())
    return {};
  return fail(fmt::format("found the listener {}, expected one of {}", in_quotes(probe.listener),
                          fmt::join(listeners, ", ")));
}

std::string health_text(const HealthProbe& probe) {
  const std::string name = probe.listener.empty() ? "" : probe.listener + "=";
  switch (probe.kind) {
    case HealthProbe::Kind::connect: return name + "connect";
    case HealthProbe::Kind::run: return fmt::format("run {}", fmt::join(probe.command, " "));
    case HealthProbe::Kind::get: break;
  }
  const std::string status = probe.lowest_status == probe.highest_status
                                 ? std::to_string(probe.lowest_status)
                                 : fmt::format("{}xx", probe.lowest_status / 100);
  return fmt::format("{}GET {} {}", name, probe.path, status);
}

}  // namespace liveswap::config
