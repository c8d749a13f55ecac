#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

// One input of a fuzz target; libFuzzer calls it, or replay.cpp with the files of the corpus. Each target is
// a .cpp here that defines it: what a hostile writer can send to one reader. The sanitizers find what is
// undefined; require() says what must hold beside that.
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
