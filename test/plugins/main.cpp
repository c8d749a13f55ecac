#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>

#include "host.hpp"

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fputs("usage: test-plugins RUN_COMMAND.so SHA256_LIST.so [options of doctest]\n", stderr);
    return 2;
  }
  run_command_path = argv[1];
  sha256_list_path = argv[2];
  return doctest::Context(argc - 2, argv + 2).run();
}
