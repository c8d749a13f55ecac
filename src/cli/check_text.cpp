#include "cli/check_text.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/filled.hpp"
#include "cli/shown.hpp"

namespace liveswap::cli {
namespace {

using Json = nlohmann::ordered_json;
using Level = CheckFinding::Level;

constexpr std::size_t indent = 9;
constexpr std::size_t narrowest = 40;  // of the text, however small the terminal is

const char* word(Level level) {
  switch (level) {
    case Level::error:
      return "error";
    case Level::warning:
      return "warning";
    case Level::fine:
      return "fine";
  }
  return "";
}

const char* colour_of(Level level) {
  switch (level) {
    case Level::error:
      return "\x1b[1;31m";
    case Level::warning:
      return "\x1b[33m";
    case Level::fine:
      return "\x1b[32m";
  }
  return "";
}

std::string painted(const std::string& text, const char* colour, const Paper& paper) {
  return paper.colour ? colour + text + "\x1b[0m" : text;
}

// Broken at blanks where there is a width; further lines are indented as the first one is.
std::string beside_label(const std::string& text, const Paper& paper) {
  const std::size_t width = paper.width == 0 ? 0 : std::max(paper.width, indent + narrowest);
  return filled(text, {width, indent});
}

std::string finding_lines(const CheckFinding& finding, const Paper& paper) {
  const std::string label = fmt::format("{:<{}}", word(finding.level), indent);
  return painted(label, colour_of(finding.level), paper) + beside_label(shown(finding.text), paper) + "\n";
}

std::string advice_lines(const CheckFinding& finding, const Paper& paper) {
  if (finding.advice.empty()) return "";
  return std::string(indent, ' ') +
         painted(beside_label("> " + shown(finding.advice), paper), "\x1b[2m", paper) + "\n";
}

std::string output_lines(const std::string& output) {
  if (output.empty()) return "";
  std::string lines = "\nIt wrote:\n";
  std::istringstream text(output);
  for (std::string line; std::getline(text, line);) lines += "  | " + shown(line) + "\n";
  return lines;
}

std::string counted(std::size_t count, const char* what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

std::string verdict(const CheckReport& report, const Paper& paper) {
  const std::size_t errors = report.count(Level::error);
  const std::size_t warnings = report.count(Level::warning);
  std::string numbers = errors > 0 ? counted(errors, "error") : "";
  if (warnings > 0) numbers += (numbers.empty() ? "" : ", ") + counted(warnings, "warning");
  if (errors > 0)
    return painted(numbers + ": an upgrade to it would be refused", colour_of(Level::error), paper);
  return painted(numbers.empty() ? "fine" : "fine, but for " + numbers, colour_of(Level::fine), paper);
}

}  // namespace

std::string check_text(const CheckReport& report, Paper paper) {
  std::string text = shown(report.path) + "\n\n";
  for (std::size_t i = 0; i < report.findings.size(); ++i) {
    const CheckFinding& finding = report.findings[i];
    text += finding_lines(finding, paper);
    const bool again = i + 1 < report.findings.size() && report.findings[i + 1].advice == finding.advice;
    if (!again) text += advice_lines(finding, paper);
  }
  return text + output_lines(report.output) + "\n" + verdict(report, paper) + "\n";
}

std::string check_json(const CheckReport& report) {
  Json findings = Json::array();
  for (const CheckFinding& finding : report.findings)
    findings.push_back({{"level", word(finding.level)},
                        {"kind", finding.kind},
                        {"text", finding.text},
                        {"advice", finding.advice}});
  const std::size_t errors = report.count(Level::error);
  const Json object{{"path", report.path},  {"result", errors > 0 ? "failed" : "ok"},
                    {"errors", errors},     {"warnings", report.count(Level::warning)},
                    {"findings", findings}, {"output", report.output}};
  // What a library writes need not be UTF-8.
  return object.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace liveswap::cli
