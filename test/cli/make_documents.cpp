// Writes the generated parts into the documents of the source tree: `ninja -C build-test documents`.
#include <cstdio>
#include <exception>
#include <fstream>
#include <iterator>

#include "made_parts.hpp"

int main() try {
  for (const auto& path : liveswap::documents::paths()) {
    const std::string whole = std::string(SOURCE_ROOT "/") + path;
    std::ifstream in(whole);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    const std::string made = liveswap::documents::with_made_parts(path, text);
    if (made == text) continue;
    std::ofstream out(whole, std::ios::trunc);
    if (!(out << made).flush()) throw std::runtime_error("cannot write " + whole);
    std::printf("%s\n", path.c_str());
  }
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
