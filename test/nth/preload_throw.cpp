#include <stdexcept>

#include "preload.h"

void throw_instead(const char* name) {
  if (shall_fail(BOARD_EXCEPTIONS, name)) throw std::runtime_error("the call was chosen to throw");
}
