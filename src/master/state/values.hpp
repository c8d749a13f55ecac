#pragma once

#include <stdexcept>

// What types need that describe themselves for a document (archive.hpp), without the JSON of the document.
namespace liveswap::master::state {

class Writer;  // archive.hpp

// A descriptor that the next image of the program takes over. -1: none. Owned by nobody: a plain number.
struct Fd {
  int number = -1;
  bool operator==(const Fd&) const = default;
};

// The last enumerator of an enumeration in a document; they begin at 0.
template <class Enum>
inline constexpr Enum last_of = Enum(-1);

// What is wrong with a document, in words. Does not leave the functions of envelope.hpp.
class Wrong : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace liveswap::master::state
