#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

// Runs one input of a fuzz target. libFuzzer calls this function, or replay.cpp with the corpus's files. Each
// target is a .cpp file in this folder that defines the function: data that a hostile writer can send to one
// reader. The sanitizers find undefined behaviour; require() checks what else must hold.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace liveswap::fuzz {

inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace liveswap::fuzz
