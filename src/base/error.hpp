#pragma once

#include <string>
#include <tl/expected.hpp>

namespace liveswap {

// An outcome that was not wanted but is no programmer error, as a text for people: which operation, on which
// object, what was found and what was expected. CONTRIBUTING.md has the rules.
struct Error {
  std::string text;
};

template <class T>
using Result = tl::expected<T, Error>;

using tl::unexpected;

inline tl::unexpected<Error> fail(std::string text) { return tl::unexpected<Error>(Error{std::move(text)}); }

// What an errno value says, for people. A file system of somebody's own (FUSE) may answer with any number,
// and libc has no words for most of them.
std::string error_text(int number);

// "cannot <operation> <object>: <what errno says>". `number` is an errno value.
Error os_error(const std::string& operation, const std::string& object, int number);
tl::unexpected<Error> os_fail(const std::string& operation, const std::string& object, int number);

}  // namespace liveswap
