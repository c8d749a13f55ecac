#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include "test/support/left_out.hpp"

int main(int count, char** words) {
  doctest::Context context(count, words);
  liveswap::test::leave_out(context);
  return context.run();
}
