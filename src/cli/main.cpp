#include <cstdio>
#include <cstdlib>
#include <exception>

#include "base/descriptors.hpp"
#include "cli/arguments.hpp"
#include "cli/run_command.hpp"
#include "cli/terminal.hpp"
#include "liveswap.hpp"

namespace {

std::string variable(const char* name) {
  const char* value = ::getenv(name);
  return value ? value : "";
}

int run(int argc, char** argv) {
  using namespace liveswap;
  fill_standard_descriptors();
  const cli::Environment environment{variable("LIVESWAP_PORT"), variable("LIVESWAP_ADDRESS"),
                                     variable("LIVESWAP_TOKEN")};
  const auto arguments = cli::parse_arguments({argv + (argc > 0 ? 1 : 0), argv + argc}, environment);
  const auto complete = [&](Options& options) {
    if (arguments) cli::complete_resumed(*arguments, options);
  };
  if (const auto resumed = resume({argv, argv + argc}, complete)) {
    if (resumed->status != ok) cli::complain(resumed->text);
    return resumed->status;
  }
  if (arguments) return cli::run_command(*arguments);
  cli::complain(arguments.error().text);
  return usage;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    // Allocates nothing: the exception is mostly std::bad_alloc.
    std::fprintf(stderr, "liveswap: cannot go on: %s\n", error.what());
    return liveswap::failed;
  }
}
