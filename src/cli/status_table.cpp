#include "cli/status_table.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"
#include "cli/fields.hpp"
#include "cli/printable.hpp"
#include "cli/worker_table.hpp"
#include "cli/wrapped.hpp"
#include "json/parse.hpp"

namespace liveswap::cli {
namespace {

constexpr std::size_t label_width = 14, narrowest_status = 30;

// Lines of a label and a word-wrapped text.
struct Paragraphs {
  Screen screen;
  std::string options;  // that address the instance, for commands in hints

  std::string of(const char* label, const std::string& text) const {
    return fmt::format("{:<{}}", label, label_width) +
           wrapped(text, {std::max(screen.width, narrowest_status), label_width, screen.terminal}) + "\n";
  }
};

std::string head_line(const Json& status) {
  const std::string head = text(status, "head");
  if (head.empty()) return "nothing committed yet";
  const bool has_id = member(status, "release_id").is_string() && !text(status, "release_id").empty();
  const std::string release = has_id ? "release " + short_id(text(status, "release_id")) + ", " : "";
  return fmt::format("{} ({}generation {})", head, release, text(status, "generation"));
}

// "rollback to /srv/app.so: baking, 12.0 s left, 1 of 4 slots ready, since 18.0 s, asked for by …". A start
// has no path while it prepares, and no time.
std::string under_way_line(const Json& upgrade) {
  const std::string to = text(upgrade, "to").empty() ? "" : " to " + text(upgrade, "to");
  std::string line = fmt::format("{}{}: {}", text(upgrade, "kind"), to, text(upgrade, "phase"));
  if (number(upgrade, "left_ms")) line += fmt::format(", {} left", time(upgrade, "left_ms"));
  if (number(upgrade, "slots"))
    line += fmt::format(", {} of {} slots ready", text(upgrade, "slots_ready"), text(upgrade, "slots"));
  if (number(upgrade, "elapsed_ms")) line += fmt::format(", since {}", time(upgrade, "elapsed_ms"));
  if (member(upgrade, "asked_by").is_string()) line += ", asked for by " + text(upgrade, "asked_by");
  return line;
}

std::string under_way(const Json& status, const Paragraphs& page) {
  std::string lines;
  if (const Json& upgrade = member(status, "upgrade"); upgrade.is_object()) {
    lines += page.of("under way", under_way_line(upgrade));
    const std::string phase = text(upgrade, "phase");
    if (phase == "baking" || phase == "probation")
      lines += page.of("", fmt::format("end it as passed: liveswap promote{0}; revert it: liveswap abort{0}",
                                       page.options));
  }
  if (const Json& queued = member(status, "queued"); queued.is_object())
    lines +=
        page.of("queued", fmt::format("{}, waiting for {}", text(queued, "to"), time(queued, "waiting_ms")));
  return lines;
}

// Problems of listeners.
std::string listener_notes(const Json& status, const Paragraphs& page) {
  std::string lines;
  for (const Json& listener : list(status, "listeners"))
    if (member(listener, "note").is_string())
      lines += page.of("", "listener " + text(listener, "name") + ": " + text(listener, "note"));
  return lines;
}

// Processes left behind by workers that still hold a listener.
std::string left(const Json& status, const Paragraphs& page) {
  std::string lines;
  for (const Json& one : list(status, "left")) {
    const std::string worker = number(one, "slot") ? fmt::format("slot {} of generation {}",
                                                                 text(one, "slot"), text(one, "generation"))
                                                   : "a worker";
    std::string names;
    for (const Json& name : list(one, "listeners"))
      if (name.is_string())
        names += (names.empty() ? "" : ", ") + printable(name.get_ref<const std::string&>());
    lines += page.of(
        lines.empty() ? "left" : "",
        fmt::format(
            "process {} ({}), which {} has left, has the listener {} open: no upgrade reaches it; end it",
            text(one, "pid"), text(one, "program"), worker, names));
  }
  return lines;
}

std::string listener_line(const Json& status) {
  std::string line;
  for (const Json& listener : list(status, "listeners")) {
    const auto name = text(listener, "name"), address = text(listener, "address");
    // A listener bound by the application is named by its address.
    line += (line.empty() ? "" : ", ") + (name == address ? address : name + "=" + address);
    if (member(listener, "leaving") == true) line += " leaving";
  }
  return line.empty() ? "none" : line + " (" + text(status, "listen_mode") + ")";
}

// Bytes as "512 MiB".
std::string memory(const Json& status, const char* name) {
  const auto bytes = number(status, name);
  return bytes ? fmt::format("{} MiB", *bytes / (1 << 20)) : "?";
}

std::string upgrade_line(const Json& status, const std::string& options) {
  const Json& last = member(status, "last_upgrade");
  const auto receipt = number(last, "receipt");
  return fmt::format("{}, {} ago: {}{}", text(last, "status"), time(last, "ago_ms"), headline(last, "text"),
                     receipt ? fmt::format(" (liveswap receipt {}{})", *receipt, options) : "");
}

std::string master_line(const Json& status) {
  std::string line =
      fmt::format("{}, pid {}, port {}, up {}, version {}", text(status, "state"), text(status, "pid"),
                  text(status, "port"), time(status, "uptime_ms"), text(status, "version"));
  if (const auto count = number(status, "executions"); count && *count > 0)
    line += fmt::format(" for {}, re-executed {}", time(status, "executed_ms"), plural(*count, "time"));
  return line;
}

std::string top(const Json& status, const Paragraphs& page) {
  const Json& downtime = member(status, "zero_downtime");
  std::string lines = page.of("master", master_line(status)) + page.of("HEAD", head_line(status)) +
                      page.of("HEAD file", text(status, "head_file"));
  if (const Json& runtime = member(status, "runtime"); runtime.is_object())
    lines += page.of("runtime", fmt::format("{} {} (SHA-256 {})", text(runtime, "path"),
                                            text(runtime, "version"), text(runtime, "sha256").substr(0, 12)));
  if (member(status, "target_note").is_string()) lines += page.of("target", text(status, "target_note"));
  if (member(status, "release_note").is_string()) lines += page.of("release", text(status, "release_note"));
  if (member(status, "record_note").is_string()) lines += page.of("record", text(status, "record_note"));
  lines += page.of("listeners", listener_line(status)) + listener_notes(status, page);
  if (member(status, "config_file").is_string()) lines += page.of("config", text(status, "config_file"));
  if (number(status, "forks_configured"))
    lines +=
        page.of("workers", fmt::format("{} by `liveswap forks`; configured: {}, which a restart goes back to",
                                       text(status, "forks"), text(status, "forks_configured")));
  if (downtime.is_boolean() && !downtime.get<bool>())
    lines += page.of("upgrades", "kill and respawn: zero downtime is off");
  if (number(status, "max_memory"))
    lines += page.of("memory", memory(status, "memory") + " of " + memory(status, "max_memory"));
  lines += left(status, page);
  lines += under_way(status, page);
  if (member(status, "last_upgrade").is_object())
    lines += page.of("last upgrade", upgrade_line(status, page.options));
  return lines;
}

// Workers that do not answer their liveness checks.
std::string silent(const Json& status, const Screen& screen) {
  std::string lines;
  for (const Json& slot : list(status, "slots"))
    for (const Json& worker : list(slot, "workers")) {
      const Json& silence = member(worker, "silent");
      if (!silence.is_object()) continue;
      const std::string line = fmt::format(
          "worker {} in slot {} has not answered for {} ({} checks in a row): {}", text(worker, "pid"),
          text(slot, "slot"), time(silence, "ms"), text(silence, "unanswered"), text(silence, "text"));
      lines += "\n" + wrapped(line, {std::max(screen.width, narrowest_status), 4, screen.terminal}) + "\n";
    }
  if (!lines.empty() && number(status, "replaced_in_ms"))
    lines += fmt::format("the next hung worker is replaced in {} at the earliest: workers hang too often\n",
                         time(status, "replaced_in_ms"));
  return lines;
}

// The last failure of each slot with the worker's last output.
std::string failures(const Json& status, const Screen& screen) {
  std::string lines;
  for (const Json& slot : list(status, "slots")) {
    const Json& failure = member(slot, "last_failure");
    if (!failure.is_object()) continue;
    const std::string line =
        fmt::format("worker {} of generation {} failed {} ago: {}", text(failure, "pid"),
                    text(failure, "generation"), time(failure, "ago_ms"), headline(failure, "text"));
    lines += "\n" + wrapped(line, {std::max(screen.width, narrowest_status), 4, screen.terminal}) + "\n" +
             below_headline(failure, "text");
  }
  return lines;
}

}  // namespace

Result<std::string> status_table(std::string_view json, const std::string& options, const Screen& screen) {
  const Json status = json::parse_or_null(json);
  if (!status.is_object()) return fail("the master's status is no JSON object");
  return top(status, Paragraphs{screen, options}) + "\n" + worker_table(status, screen) +
         silent(status, screen) + failures(status, screen);
}

}  // namespace liveswap::cli
