#include "load/answer.hpp"

namespace liveswap::load {

void Body::append(std::string_view bytes) {
  if (start.size() < kept) start.append(bytes.substr(0, kept - start.size()));
  length += bytes.size();
  // http://www.isthe.com/chongo/tech/comp/fnv/
  for (const char byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * 1099511628211U;
}

}  // namespace liveswap::load
