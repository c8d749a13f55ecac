// A program with a master in it: embedder TARGET PORT LISTEN. It has 64 MiB of its own, which no worker may
// cost.
#include <cstdio>
#include <cstdlib>
#include <liveswap.hpp>
#include <vector>

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const std::vector<char> ballast(64 * 1024 * 1024, 'x');
  liveswap::Options options;
  options.target = argv[1];
  options.port = static_cast<std::uint16_t>(std::atoi(argv[2]));
  options.listen = {{"", argv[3]}};
  options.on_ready = [&] { std::printf("ready %c\n", ballast.back()), std::fflush(stdout); };
  // Unflushed: whoever forks must not print it once more.
  std::printf("once ");
  const auto outcome = liveswap::run(options);
  std::printf("ended: %s\n", outcome.text.c_str());
  return outcome.status;
}
