#include "master/workers/socket_tables.hpp"

#include <netinet/in.h>
#include <sys/un.h>

#include <cstddef>
#include <cstdio>
#include <cstring>
#include <optional>

#include "master/sockets/sockets.hpp"

namespace liveswap::master {
namespace {

// Values of the kernel's net/tcp_states.h and of <linux/net.h>.
enum { tcp_time_wait = 6, tcp_close = 7, tcp_listen = 10, ss_connected = 3 };

// Of a line of /proc/net/tcp.
struct TcpLine {
  unsigned port = 0;
  unsigned state = 0;
  std::uint64_t inode = 0;
};

// "  12: 0100007F:1F90 0100007F:D2A4 01 00000000:00000000 00:00000000 00000000  1000  0 123456 …". nullopt:
// the heading, or another port.
std::optional<TcpLine> tcp_line(std::string_view line, const ListeningPlaces& places) {
  TcpLine found;
  unsigned long long inode = 0;
  if (std::sscanf(std::string(line).c_str(),
                  " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*x:%*x %*x:%*x %*x %*u %*u %llu", &found.port,
                  &found.state, &inode) != 3)
    return std::nullopt;
  found.inode = inode;
  return places.ports.contains(static_cast<std::uint16_t>(found.port)) ? std::optional(found) : std::nullopt;
}

}  // namespace

void ListeningPlaces::add(int fd) {
  const SocketAddress address = address_of(fd);
  if (address.storage.ss_family != AF_UNIX) {
    // Both families have the port at the same offset.
    ports.insert(ntohs(reinterpret_cast<const sockaddr_in&>(address.storage).sin_port));
    return;
  }
  constexpr std::size_t before = offsetof(sockaddr_un, sun_path);
  if (address.length <= before) return;
  const char* const path = reinterpret_cast<const sockaddr_un&>(address.storage).sun_path;
  const std::size_t size = address.length - before;
  paths.insert(*path ? std::string(path, ::strnlen(path, size)) : "@" + std::string(path + 1, size - 1));
}

std::uint64_t inode_in_tcp_line(std::string_view line, const ListeningPlaces& places) {
  const auto found = tcp_line(line, places);
  const bool is_connection =
      found && found->state != tcp_time_wait && found->state != tcp_close && found->state != tcp_listen;
  return is_connection ? found->inode : 0;
}

ListeningLine listening_in_tcp_line(std::string_view line, const ListeningPlaces& places) {
  const auto found = tcp_line(line, places);
  if (!found || found->state != tcp_listen) return {};
  return {found->inode, static_cast<std::uint16_t>(found->port)};
}

// "0000000000000000: 00000003 00000000 00000000 0001 03 123456 /run/app.sock": a connection shows the
// listener's path.
std::uint64_t inode_in_unix_line(std::string_view line, const ListeningPlaces& places) {
  unsigned state = 0;
  unsigned long long inode = 0;
  int at = 0;
  const std::string text(line);
  if (std::sscanf(text.c_str(), "%*s %*x %*x %*x %*x %x %llu %n", &state, &inode, &at) != 2 || at == 0)
    return 0;
  return state == ss_connected && places.paths.contains(text.substr(static_cast<std::size_t>(at))) ? inode
                                                                                                   : 0;
}

}  // namespace liveswap::master
