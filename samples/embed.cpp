// A program that embeds liveswap: a master with its own name and options, which does not need the command
// line. Upgrade it as any other instance: `liveswap upgrade libhello_v2.so`.
//
// After `meson install`, and `ldconfig` as root so that the loader finds libliveswap.so:
//
//   c++ -std=c++17 embed.cpp $(pkg-config --cflags --libs liveswap) -o embed
//   ./embed ./libhello_v1.so
#include <cstdio>
#include <liveswap.hpp>

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s libapp.so\n", argv[0]);
    return 2;
  }
  liveswap::Options options;
  options.target = argv[1];
  options.forks = 2;
  options.listen = {{"http", "127.0.0.1:1337"}};
  options.on_ready = [] { std::puts("serving on http://127.0.0.1:1337/"); };

  const liveswap::Outcome outcome = liveswap::run(options);
  if (outcome.status != liveswap::ok) std::fprintf(stderr, "embed: %s\n", outcome.text.c_str());
  return outcome.status;
}
