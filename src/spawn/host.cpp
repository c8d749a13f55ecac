#include "spawn/host.hpp"

#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>

#include <memory>

namespace liveswap::spawn {

Result<std::string> find_host(const std::string& name) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* list = nullptr;
  const int failed = ::getaddrinfo(name.c_str(), nullptr, &hints, &list);
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(list, ::freeaddrinfo);
  if (failed != 0) return fail(fmt::format("cannot look up {}: {}", name, ::gai_strerror(failed)));
  char host[NI_MAXHOST];
  const int unnamed =
      ::getnameinfo(list->ai_addr, list->ai_addrlen, host, sizeof host, nullptr, 0, NI_NUMERICHOST);
  if (unnamed != 0) return fail(fmt::format("cannot look up {}: {}", name, ::gai_strerror(unnamed)));
  return std::string(host);
}

}  // namespace liveswap::spawn
