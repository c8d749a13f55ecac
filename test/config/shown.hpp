#pragma once

#include <string>

#include "base/error.hpp"

// The text of an error; "" for a value, so that a test that expects an error fails readably.
template <class T>
std::string error_of(const liveswap::Result<T>& result) {
  return result ? "" : result.error().text;
}
