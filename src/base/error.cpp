#include "base/error.hpp"

#include <cstring>

namespace liveswap {

std::string error_text(int number) {
  const char* text = ::strerrordesc_np(number);
  return text ? text : "error " + std::to_string(number);
}

Error os_error(const std::string& operation, const std::string& object, int number) {
  return {"cannot " + operation + (object.empty() ? "" : " " + object) + ": " + error_text(number)};
}

tl::unexpected<Error> os_fail(const std::string& operation, const std::string& object, int number) {
  return tl::unexpected<Error>(os_error(operation, object, number));
}

}  // namespace liveswap
