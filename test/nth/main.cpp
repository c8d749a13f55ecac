#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>

#include "sweep.hpp"

namespace {

int use() {
  std::fprintf(stderr,
               "usage: nth-call allocations|system-calls|exceptions [--most COUNT] [--error 0|1] [--forks "
               "COUNT] [--only STEP] [--build DIRECTORY]\n"
               "  --most   so many n, spread evenly; without it every n\n"
               "  --error  which of the plausible errors of a system call\n"
               "  --only   one step of those that are printed: upgrade, \"start and stop\"\n"
               "  --build  whose programs are tried; without it those beside this one\n");
  return 2;
}

int sweep(nth::Sweep::Settings settings) {
  std::string directory = std::filesystem::temp_directory_path() / "liveswap-nth-XXXXXX";
  if (!::mkdtemp(directory.data())) return 2;
  settings.place.directory = directory;
  const bool well = nth::Sweep(settings).run();
  if (well) std::filesystem::remove_all(directory);
  else std::printf("the log of the master is %s/log\n", directory.c_str());
  return well ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  nth::Sweep::Settings settings;
  settings.place.build = BUILD_ROOT;
  if (argc < 2) return use();
  const std::string kind = argv[1];
  if (kind != "allocations" && kind != "system-calls" && kind != "exceptions") return use();
  settings.kinds = kind == "allocations"  ? BOARD_ALLOCATIONS
                   : kind == "exceptions" ? BOARD_EXCEPTIONS
                                          : BOARD_SYSTEM_CALLS;
  for (int i = 2; i + 1 < argc; i += 2) {
    const std::string option = argv[i];
    const auto value = static_cast<unsigned>(std::strtoul(argv[i + 1], nullptr, 10));
    if (option == "--build") settings.place.build = argv[i + 1];
    else if (option == "--most") settings.most = value;
    else if (option == "--error") settings.error = value;
    else if (option == "--only") settings.only = argv[i + 1];
    else if (option == "--forks") settings.place.forks = value;
    else return use();
  }
  try {
    return sweep(settings);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "nth-call: %s\n", error.what());
    return 2;
  }
}
