#include "cli/receipt_text.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"
#include "cli/fields.hpp"
#include "cli/printable.hpp"
#include "cli/timeline.hpp"
#include "cli/wrapped.hpp"

namespace liveswap::cli {
namespace {

constexpr std::size_t receipt_label_width = 14;
constexpr std::size_t narrowest_receipt = 40;
constexpr std::size_t most_troubles = 20;

// A label, and beside it a word-wrapped text.
std::string paragraph(const std::string& label, const std::string& text, std::size_t width) {
  return fmt::format("{:<{}}", label, receipt_label_width) +
         wrapped(text, {std::max(width, narrowest_receipt), receipt_label_width}) + "\n";
}

std::string release(const Json& receipt, const char* name) {
  const Json& release = member(receipt, name);
  if (!release.is_object()) return "nothing";
  const Json& id = member(release, "id");
  std::string known = id.is_string() && !id.get_ref<const std::string&>().empty()
                          ? "release " + short_id(text(release, "id"))
                          : "";
  if (const auto generation = number(release, "generation"); generation.value_or(0) > 0)
    known += fmt::format("{}generation {}", known.empty() ? "" : ", ", *generation);
  if (const Json& runtime = member(release, "runtime"); runtime.is_object())
    known += fmt::format("{}runtime {} {}", known.empty() ? "" : ", ", text(runtime, "path"),
                         text(runtime, "version"));
  return text(release, "path") + (known.empty() ? "" : " (" + known + ")");
}

std::string asked(const Json& receipt) {
  const Json& asked = member(receipt, "asked");
  std::string line = text(receipt, "started");
  if (member(asked, "by").is_string() && !text(asked, "by").empty()) line += " by " + text(asked, "by");
  if (member(asked, "value").is_string() && !text(asked, "value").empty())
    line += ": " + text(asked, "value");
  return line;
}

std::string plan(const Json& receipt) {
  const Json& plan = member(receipt, "plan");
  if (!plan.is_object()) return "";
  std::string line = fmt::format("forks {}, batch {}, surge {}", text(plan, "forks"), text(plan, "batch"),
                                 text(plan, "surge"));
  if (const auto canary = text(plan, "canary"); canary != "0" && canary != "?")
    line += fmt::format(", canary {} for {}", canary, time(plan, "bake_ms"));
  if (number(plan, "probation_ms").value_or(0) > 0) line += ", probation " + time(plan, "probation_ms");
  return line + (is_true(plan, "flip") ? ", flip" : "");
}

std::int64_t sum_of(const Json& receipt, const char* name) {
  std::int64_t sum = 0;
  for (const Json& slot : list(receipt, "slots"))
    for (const Json& worker : list(slot, "workers")) sum = json::add(sum, number(worker, name).value_or(0));
  return sum;
}

// Idle connections of drained workers that were ended or handed off.
std::string idle_ones(const Json& receipt) {
  const auto ended = sum_of(receipt, "ended"), handed_off = sum_of(receipt, "handed_off");
  if (ended == 0 && handed_off == 0) return "";
  const std::string first = ended > 0 ? fmt::format("{} idle ones ended", ended)
                                      : fmt::format("{} idle ones handed off", handed_off);
  return "; " + first + (ended > 0 && handed_off > 0 ? fmt::format(", {} handed off", handed_off) : "");
}

// Sums over all workers. Leaves out what no worker counted.
std::string connections(const Json& receipt) {
  if (!member(receipt, "slots").is_array()) return "";
  std::string line;
  for (const char* name : {"drained", "killed", "lost"}) {
    std::int64_t sum = 0;
    bool unknown = false;
    for (const Json& slot : list(receipt, "slots"))
      for (const Json& worker : list(slot, "workers")) {
        if (const auto found = number(worker, name)) sum = json::add(sum, *found);
        else if (number(worker, "gone_ms") && number(worker, "drain_ms")) unknown = true;
      }
    line += fmt::format("{}{}{} {}", line.empty() ? "" : ", ", unknown ? "at least " : "", sum, name);
  }
  return line + idle_ones(receipt);
}

std::string requests(const Json& receipt) {
  std::string line;
  for (const char* role : {"old", "new"}) {
    const Json& counted = member(member(receipt, "requests"), role);
    if (!counted.is_object()) continue;
    line += fmt::format("{}{} code {} served, {} failed", line.empty() ? "" : "; ", role,
                        text(counted, "served"), text(counted, "failed"));
  }
  return line;
}

std::string probes(const Json& receipt) {
  const Json& probes = member(receipt, "probes");
  if (number(probes, "made").value_or(0) == 0) return "";
  return fmt::format("{} made, {} failed", text(probes, "made"), text(probes, "failed"));
}

std::string queues(const Json& receipt) {
  std::string line;
  for (const Json& queue : list(receipt, "queues")) {
    const bool known = number(queue, "peak_depth").has_value();
    line += fmt::format("{}{} {}", line.empty() ? "" : ", ", text(queue, "listener"),
                        known ? "at most " + text(queue, "peak_depth") : "not measured");
  }
  return line;
}

// Listeners that the new code no longer binds.
std::string dropped(const Json& receipt) {
  std::string line;
  for (const Json& name : list(receipt, "dropped"))
    if (name.is_string()) line += (line.empty() ? "" : ", ") + printable(name.get_ref<const std::string&>());
  return line;
}

// How a worker ended that crashed or was ended by force.
std::string trouble(const Json& slot, const Json& worker) {
  const std::string end = text(worker, "end");
  if (end != "forced" && end != "crashed") return "";
  std::string line =
      fmt::format("slot {}: worker {} ({}) {} after {}, exit {}", text(slot, "slot"), text(worker, "pid"),
                  text(worker, "role"), end == "forced" ? "was ended by force" : "failed",
                  time(worker, "gone_ms"), text(worker, "exit"));
  for (const char* name : {"drained", "killed", "lost"})
    if (const auto count = number(worker, name); count.value_or(0) > 0)
      line += fmt::format(", {} {}", plural(*count, "connection"), name);
  return line + (member(worker, "force").is_string() ? ": " + text(worker, "force") : "");
}

// Indents each line.
std::string indented(const std::string& lines) {
  std::istringstream all(lines);
  std::string result;
  for (std::string line; std::getline(all, line);)
    result += std::string(receipt_label_width, ' ') + line + "\n";
  return result;
}

// The failure of a worker, unless the reason of the receipt contains it.
std::string failure(const Json& receipt, const Json& worker) {
  const std::string why = headline(worker, "failure");
  const bool told =
      !member(worker, "failure").is_string() || text(receipt, "reason").find(why) != std::string::npos;
  return told ? "" : why;
}

std::string troubles(const Json& receipt, std::size_t width) {
  std::string lines;
  std::size_t count = 0;
  for (const Json& slot : list(receipt, "slots"))
    for (const Json& worker : list(slot, "workers"))
      if (const auto line = trouble(slot, worker); !line.empty() && ++count <= most_troubles) {
        const auto why = failure(receipt, worker);
        lines += paragraph(count == 1 ? "trouble" : "", why.empty() ? line : line + ": " + why, width);
        if (!why.empty()) lines += indented(below_headline(worker, "failure"));
      }
  if (count > most_troubles) lines += paragraph("", fmt::format("and {} more", count - most_troubles), width);
  return lines;
}

// Processes left behind by a worker that still hold a listener.
std::string left(const Json& receipt, std::size_t width) {
  std::string lines;
  for (const Json& slot : list(receipt, "slots"))
    for (const Json& worker : list(slot, "workers"))
      for (const Json& one : list(worker, "left"))
        lines += paragraph(
            lines.empty() ? "left" : "",
            fmt::format("slot {}: worker {} left process {} ({}) with a listener open{}", text(slot, "slot"),
                        text(worker, "pid"), text(one, "pid"), text(one, "program"),
                        is_true(one, "ended") ? ": ended"
                                              : "; it may accept connections that the new code never sees"),
            width);
  return lines;
}

std::string outcome(const Json& receipt) {
  const std::string reason = headline(receipt, "reason");
  const bool told = member(receipt, "reason").is_string() && !reason.empty();
  return fmt::format("{}, {} after {}{}", text(receipt, "kind"), text(receipt, "outcome"),
                     time(receipt, "length_ms"), told ? ": " + reason : "");
}

}  // namespace

std::string receipt_text(const Json& receipt, const Screen& screen) {
  std::string lines;
  const auto add = [&](const char* label, const std::string& text) {
    if (!text.empty()) lines += paragraph(label, text, screen.width);
  };
  add(("receipt " + text(receipt, "number")).c_str(), outcome(receipt));
  lines += indented(below_headline(receipt, "reason"));
  add("asked for", asked(receipt));
  add("from", release(receipt, "from"));
  add("to", release(receipt, "to"));
  add("plan", plan(receipt));
  add("connections", connections(receipt));
  add("requests", requests(receipt));
  add("probes", probes(receipt));
  add("waiting", queues(receipt));
  add("dropped", dropped(receipt));
  if (number(receipt, "skew_ms")) add("version skew", time(receipt, "skew_ms"));
  lines += troubles(receipt, screen.width) + left(receipt, screen.width);
  const std::string picture = timeline(receipt, screen);
  return picture.empty() ? lines : lines + "\n" + picture;
}

}  // namespace liveswap::cli
