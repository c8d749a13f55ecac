// A program that embeds a master: embedder TARGET PORT LISTEN. It uses 64 MiB of its own, which must not
// enlarge the workers.
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
  // Not flushed: a child must not print this again.
  std::printf("once ");
  const auto outcome = liveswap::run(options);
  std::printf("ended: %s\n", outcome.text.c_str());
  return outcome.status;
}
