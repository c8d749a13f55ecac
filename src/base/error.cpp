#include "base/error.hpp"

#include <cstring>

namespace liveswap {

Error os_error(const std::string& operation, const std::string& object, int number) {
  const char* text = ::strerrordesc_np(number);
  return {"cannot " + operation + (object.empty() ? "" : " " + object) + ": " +
          (text ? text : "error " + std::to_string(number))};
}

tl::unexpected<Error> os_fail(const std::string& operation, const std::string& object, int number) {
  return tl::unexpected<Error>(os_error(operation, object, number));
}

}  // namespace liveswap
