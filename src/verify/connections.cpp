#include "verify/connections.hpp"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <charconv>
#include <fstream>
#include <sstream>
#include <string>

#include "base/unique_fd.hpp"

namespace liveswap::verify {
namespace {

constexpr std::uint32_t bit(int state) { return 1U << state; }

// States in which a process may hold the connection.
constexpr std::uint32_t wanted_states = bit(TCP_ESTABLISHED) | bit(TCP_FIN_WAIT1) | bit(TCP_FIN_WAIT2) |
                                        bit(TCP_CLOSE_WAIT) | bit(TCP_LAST_ACK) | bit(TCP_CLOSING);
constexpr const char* listening = "0A";

struct Request {
  nlmsghdr header{};
  inet_diag_req_v2 body{};
};

bool ask(int fd, std::uint8_t family, std::uint16_t port) {
  Request request;
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.body.sdiag_family = family;
  request.body.sdiag_protocol = IPPROTO_TCP;
  request.body.idiag_states = wanted_states;
  request.body.id.idiag_sport = htons(port);
  return ::send(fd, &request, sizeof request, 0) == static_cast<ssize_t>(sizeof request);
}

enum class Did { more, done, failed };

Did take(const char* bytes, std::size_t size, std::vector<ServerSide>& found) {
  auto left = static_cast<unsigned>(size);
  for (auto* one = reinterpret_cast<const nlmsghdr*>(bytes); NLMSG_OK(one, left);
       one = NLMSG_NEXT(one, left)) {
    if (one->nlmsg_type == NLMSG_DONE) return Did::done;
    if (one->nlmsg_type != SOCK_DIAG_BY_FAMILY || one->nlmsg_len < NLMSG_LENGTH(sizeof(inet_diag_msg)))
      return Did::failed;
    const auto* side = static_cast<const inet_diag_msg*>(NLMSG_DATA(one));
    found.push_back({side->idiag_inode, ntohs(side->id.idiag_dport)});
  }
  return Did::more;
}

// "0100007F:1F90"
std::uint16_t port_in(const std::string& address) {
  const auto colon = address.rfind(':');
  std::uint16_t port = 0;
  if (colon != std::string::npos)
    std::from_chars(address.data() + colon + 1, address.data() + address.size(), port, 16);
  return port;
}

}  // namespace

bool connections_by_diag(std::uint16_t port, std::vector<ServerSide>& found) {
  const auto fd = UniqueFd::adopt(::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!fd) return false;
  const timeval limit{2, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  for (const int family : {AF_INET, AF_INET6}) {
    if (!ask(fd.get(), static_cast<std::uint8_t>(family), port)) return false;
    for (Did did = Did::more; did != Did::done;) {
      alignas(nlmsghdr) char bytes[32 * 1024];
      const ssize_t size = ::recv(fd.get(), bytes, sizeof bytes, 0);
      if (size <= 0) return false;
      did = take(bytes, static_cast<std::size_t>(size), found);
      if (did == Did::failed) return false;
    }
  }
  return true;
}

std::vector<ServerSide> connections_by_proc(std::uint16_t port) {
  std::vector<ServerSide> found;
  for (const char* table : {"/proc/self/net/tcp", "/proc/self/net/tcp6"}) {
    std::ifstream file(table);
    std::string line;
    std::getline(file, line);
    while (std::getline(file, line)) {
      std::istringstream fields(line);
      std::string number, here, there, state, skipped;
      ServerSide side;
      fields >> number >> here >> there >> state;
      if (state == listening || port_in(here) != port) continue;
      for (int i = 0; i < 5; ++i) fields >> skipped;  // queues, timer, retransmits, uid, timeout
      fields >> side.inode;
      side.client = port_in(there);
      found.push_back(side);
    }
  }
  return found;
}

std::vector<ServerSide> connections_to(std::uint16_t port) {
  std::vector<ServerSide> found;
  return connections_by_diag(port, found) ? found : connections_by_proc(port);
}

}  // namespace liveswap::verify
