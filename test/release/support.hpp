#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <string>

#include "test/support/temp_dir.hpp"

using liveswap::test::TempDir;

void put(const std::string& path, const std::string& text);  // also makes the directories above
std::string get(const std::string& path);
mode_t mode_of(const std::string& path);

// Every file below a directory, with its content; directories end with "/". For comparing whole states.
std::map<std::string, std::string> tree(const std::string& path);

// `size` bytes without repetition, different for each seed.
std::string noise(std::size_t size, unsigned seed);

// Copies a library of the family (meson.build) to a path.
void put_library(const std::string& name, const std::string& path);

// Loads the library in a child process and returns what the function returns: one process would never load
// two libraries with the same SONAME. -1: it cannot be loaded. 255: a file outside `only_below` was loaded.
int call_in_child(const std::string& library, const std::string& function, const std::string& only_below);

bool contains(const std::string& text, const std::string& part);
