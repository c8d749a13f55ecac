#pragma once

#include <string>
#include <tl/expected.hpp>

namespace liveswap {

// An expected failure, as a text for people: the operation, its object, what was found and what was expected.
// The rules are in CONTRIBUTING.md.
struct Error {
  std::string text;
};

template <class T>
using Result = tl::expected<T, Error>;

using tl::unexpected;

inline tl::unexpected<Error> fail(std::string text) { return tl::unexpected<Error>(Error{std::move(text)}); }

// The text of an errno value. Unlike strerror(), also for the unknown numbers that a FUSE file system may
// return.
std::string error_text(int number);

// "cannot <operation> <object>: <text of errno>". `number` is an errno value.
Error os_error(const std::string& operation, const std::string& object, int number);
tl::unexpected<Error> os_fail(const std::string& operation, const std::string& object, int number);

}  // namespace liveswap
