// The parts of docs/performance.md. Each adds a section with its tables and pictures.
#pragma once

#include <map>
#include <string>

#include "plots.hpp"
#include "results.hpp"
#include "table.hpp"

namespace page {

struct Page {
  std::string text;
  std::map<std::string, std::string> pictures;  // by name, without .svg

  template <class Plot>
  void add_plot(const std::string& name, const Plot& plot) {
    pictures[name] = svg_of(plot);
    text += "![" + plot.title + "](performance/" + name + ".svg)\n\n";
  }
};

void add_programs(Page& page, const Results& results);
void add_upgrades(Page& page, const Results& results);
void add_steady(Page& page, const Results& results);
void add_memory_and_cpu(Page& page, const Results& results);
void add_micro(Page& page, const Results& results);

}  // namespace page
