// performance-page RESULTS.json DIRECTORY: makes DIRECTORY/performance.md and DIRECTORY/performance/*.svg.
#include <fmt/format.h>

#include <exception>
#include <filesystem>
#include <fstream>

#include "page.hpp"

namespace {

void write(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  file.flush();
  if (!file) throw std::runtime_error("cannot write " + path.string());
}

void make(const std::string& results_path, const std::filesystem::path& directory) {
  std::ifstream file(results_path);
  if (!file) throw std::runtime_error("cannot read " + results_path);
  const page::Results results(page::Json::parse(file));
  page::Page page;
  add_programs(page, results);
  add_upgrades(page, results);
  add_steady(page, results);
  add_memory_and_cpu(page, results);
  add_micro(page, results);
  while (page.text.ends_with("\n\n")) page.text.pop_back();
  std::filesystem::remove_all(directory / "performance");
  std::filesystem::create_directories(directory / "performance");
  write(directory / "performance.md", page.text);
  for (const auto& [name, svg] : page.pictures) write(directory / "performance" / (name + ".svg"), svg);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    fmt::print(stderr, "usage: performance-page RESULTS.json DIRECTORY\n");
    return 2;
  }
  try {
    make(argv[1], argv[2]);
  } catch (const std::exception& error) {
    fmt::print(stderr, "performance-page: {}\n", error.what());
    return 1;
  }
}
