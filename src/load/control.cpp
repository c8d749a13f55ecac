#include "load/control.hpp"

namespace liveswap::load {
namespace {

Command parse(std::string line) {
  static const std::string mark = "mark ";
  if (line == "stop") return {Command::What::stop, {}};
  if (line.starts_with(mark) && line.size() > mark.size())
    return {Command::What::mark, line.substr(mark.size())};
  return {Command::What::bad, std::move(line)};
}

}  // namespace

std::vector<Command> CommandLines::feed(std::string_view bytes) {
  std::vector<Command> commands;
  for (const char c : bytes) {
    if (c != '\n' && line_.size() < longest) {
      line_ += c;
      continue;
    }
    if (c != '\n') line_ += "...";
    commands.push_back(c == '\n' ? parse(std::move(line_)) : Command{Command::What::bad, std::move(line_)});
    line_.clear();
  }
  return commands;
}

}  // namespace liveswap::load
