// How long the store takes for a directory like node_modules: 5,000 files in 700 directories, 40 MB.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "base/remove_tree.hpp"
#include "release/soundness.hpp"
#include "release/store.hpp"

namespace fs = std::filesystem;
using namespace liveswap::release;

namespace {

constexpr unsigned files = 5000, in_a_directory = 7, rounds = 5;

void write(const std::string& path, std::mt19937& dice) {
  std::string bytes(2000 + dice() % 12'000, '\0');
  for (char& byte : bytes) byte = static_cast<char>(dice());
  std::ofstream(path, std::ios::binary) << bytes;
}

std::string path_of(const std::string& top, unsigned number) {
  return fmt::format("{}/node_modules/package-{}/lib/{}.js", top, number / in_a_directory, number);
}

// Milliseconds.
template <class Work>
double time_of(const Work& work) {
  const auto begin = std::chrono::steady_clock::now();
  if (!work()) std::abort();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

void print(const char* name, std::vector<double> times) {
  std::sort(times.begin(), times.end());
  fmt::print("{:56} min {:6.0f}  median {:6.0f}  max {:6.0f} ms\n", name, times.front(),
             times[times.size() / 2], times.back());
}

}  // namespace

// Argument: a directory on the file system to measure; default: the working directory.
int main(int argc, char** argv) {
  std::string top = std::string(argc > 1 ? argv[1] : ".") + "/tree-time-XXXXXX";
  if (!::mkdtemp(top.data())) return 1;
  top = fs::canonical(top).string();
  const std::string app = top + "/app";
  std::mt19937 dice(1);
  for (unsigned i = 0; i < files; ++i) {
    fs::create_directories(fs::path(path_of(app, i)).parent_path());
    write(path_of(app, i), dice);
  }
  std::vector<double> first, next, same, known, whole, removal;
  for (unsigned round = 0; round < rounds; ++round) {
    const std::string state = fmt::format("{}/state-{}", top, round);
    fs::create_directory(state);
    const Store store(state);
    std::string id;
    const auto take = [&] {
      const auto taken = store.take(app, {});
      if (taken) id = taken->id;
      return taken.has_value();
    };
    first.push_back(time_of(take));
    for (unsigned i = 0; i < 20; ++i) write(path_of(app, dice() % files), dice);
    next.push_back(time_of(take));
    same.push_back(time_of(take));
    const Committed release{app, id};
    known.push_back(time_of([&] { return examine(store, release, {}, Hashing::changed).has_value(); }));
    whole.push_back(time_of([&] { return examine(store, release, {}, Hashing::all).has_value(); }));
    removal.push_back(time_of([&] { return store.keep_only({id}).has_value(); }));
  }
  print("the first release", first);
  print("the second release, 20 files changed", next);
  print("the same again", same);
  print("examined before a worker starts", known);
  print("examined whole, at a start of the master", whole);
  print("the first release is removed", removal);
  return liveswap::remove_tree(top).has_value() ? 0 : 1;
}
