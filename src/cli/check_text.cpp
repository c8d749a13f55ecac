#include "cli/check_text.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/printable.hpp"
#include "cli/wrapped.hpp"

namespace liveswap::cli {
namespace {

using OrderedJson = nlohmann::ordered_json;
using Level = CheckFinding::Level;

constexpr std::size_t indent = 9;
constexpr std::size_t narrowest_text = 40;  // minimum width of the text

const char* word(Level level) {
  switch (level) {
    case Level::error: return "error";
    case Level::warning: return "warning";
    case Level::fine: return "fine";
  }
  return "";
}

const char* colour_of(Level level) {
  switch (level) {
    case Level::error: return "\x1b[1;31m";
    case Level::warning: return "\x1b[33m";
    case Level::fine: return "\x1b[32m";
  }
  return "";
}

std::string painted(const std::string& text, const char* colour, const TextFormat& format) {
  return format.colour ? colour + text + "\x1b[0m" : text;
}

// Word-wraps `text` to the width, if any, with a hanging indent.
std::string beside_label(const std::string& text, const TextFormat& format) {
  const std::size_t width = format.width == 0 ? 0 : std::max(format.width, indent + narrowest_text);
  return wrapped(text, {width, indent});
}

std::string finding_lines(const CheckFinding& finding, const TextFormat& format) {
  const std::string label = fmt::format("{:<{}}", word(finding.level), indent);
  return painted(label, colour_of(finding.level), format) + beside_label(printable(finding.text), format) +
         "\n";
}

std::string advice_lines(const CheckFinding& finding, const TextFormat& format) {
  if (finding.advice.empty()) return "";
  return std::string(indent, ' ') +
         painted(beside_label("> " + printable(finding.advice), format), "\x1b[2m", format) + "\n";
}

std::string output_lines(const std::string& output) {
  if (output.empty()) return "";
  std::string lines = "\nIt wrote:\n";
  std::istringstream text(output);
  for (std::string line; std::getline(text, line);) lines += "  | " + printable(line) + "\n";
  return lines;
}

std::string counted(std::size_t count, const char* what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

std::string verdict(const CheckReport& report, const TextFormat& format) {
  const std::size_t errors = report.count(Level::error);
  const std::size_t warnings = report.count(Level::warning);
  std::string numbers = errors > 0 ? counted(errors, "error") : "";
  if (warnings > 0) numbers += (numbers.empty() ? "" : ", ") + counted(warnings, "warning");
  if (errors > 0)
    return painted(numbers + ": an upgrade to it would be refused", colour_of(Level::error), format);
  return painted(numbers.empty() ? "fine" : "fine, but for " + numbers, colour_of(Level::fine), format);
}

}  // namespace

std::string check_text(const CheckReport& report, TextFormat format) {
  std::string text = printable(report.path) + "\n\n";
  for (std::size_t i = 0; i < report.findings.size(); ++i) {
    const CheckFinding& finding = report.findings[i];
    text += finding_lines(finding, format);
    const bool again = i + 1 < report.findings.size() && report.findings[i + 1].advice == finding.advice;
    if (!again) text += advice_lines(finding, format);
  }
  return text + output_lines(report.output) + "\n" + verdict(report, format) + "\n";
}

std::string check_json(const CheckReport& report) {
  OrderedJson findings = OrderedJson::array();
  for (const CheckFinding& finding : report.findings)
    findings.push_back({{"level", word(finding.level)},
                        {"kind", finding.kind},
                        {"text", finding.text},
                        {"advice", finding.advice}});
  const std::size_t errors = report.count(Level::error);
  const OrderedJson object{{"path", report.path},  {"result", errors > 0 ? "failed" : "ok"},
                           {"errors", errors},     {"warnings", report.count(Level::warning)},
                           {"findings", findings}, {"output", report.output}};
  // The output of a library may be invalid UTF-8.
  return object.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

}  // namespace liveswap::cli
