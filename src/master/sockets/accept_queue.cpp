#include "master/sockets/accept_queue.hpp"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/stat.h>

#include <cstring>
#include <functional>

#include "base/unique_fd.hpp"

namespace liveswap::master {
namespace {

// States of a socket with a pending handshake; which bit finds it depends on the kernel's version.
constexpr unsigned syn_recv = 1u << 3, new_syn_recv = 1u << 12;
constexpr unsigned listening = 1u << 10, bound_inactive = 1u << 13;

std::uint64_t cookie_in(const inet_diag_msg& message) {
  return message.id.idiag_cookie[0] | static_cast<std::uint64_t>(message.id.idiag_cookie[1]) << 32;
}

// Whether both addresses, which have the same port, exclude each other. Two specific addresses of one
// family do not. For two families the message does not tell, so assume that they do.
bool excludes(const inet_diag_msg& message, const SocketAddress& address) {
  if (message.idiag_family != address.storage.ss_family) return true;
  const bool six = message.idiag_family == AF_INET6;
  const auto* bound = six ? reinterpret_cast<const sockaddr_in6&>(address.storage).sin6_addr.s6_addr
                          : reinterpret_cast<const unsigned char*>(
                                &reinterpret_cast<const sockaddr_in&>(address.storage).sin_addr);
  const std::size_t size = six ? sizeof(in6_addr) : sizeof(in_addr);
  static constexpr unsigned char any[sizeof(in6_addr)] = {};
  return std::memcmp(bound, any, size) == 0 || std::memcmp(message.id.idiag_src, any, size) == 0 ||
         std::memcmp(message.id.idiag_src, bound, size) == 0;
}

// Sends a sock_diag request and calls `take` for each answer. False: the kernel does not answer.
template <class Question>
bool ask(const Question& question, int flags, const std::function<void(const nlmsghdr&)>& take) {
  const auto fd = UniqueFd::adopt(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  struct {
    nlmsghdr header;
    Question question;
  } request{{sizeof request, SOCK_DIAG_BY_FAMILY, static_cast<__u16>(NLM_F_REQUEST | flags), 1, 0}, question};
  if (!fd || ::send(fd.get(), &request, sizeof request, 0) < 0) return false;
  alignas(nlmsghdr) char buffer[32 * 1024];
  for (;;) {
    // The kernel answers synchronously, so an empty queue is an error.
    const ssize_t size = ::recv(fd.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (size <= 0) return false;
    auto left = static_cast<unsigned>(size);
    for (auto* one = reinterpret_cast<nlmsghdr*>(buffer); NLMSG_OK(one, left); one = NLMSG_NEXT(one, left)) {
      if (one->nlmsg_type == NLMSG_DONE) return true;
      if (one->nlmsg_type == NLMSG_ERROR) return false;
      take(*one);
    }
    if (!(flags & NLM_F_DUMP)) return true;
  }
}

// Calls `take` for each socket of that family in one of the states and at the port of `address`. False: the
// kernel does not answer.
bool ask_inet(int family, int protocol, unsigned states, const SocketAddress& address,
              const std::function<void(const inet_diag_msg&)>& take) {
  inet_diag_req_v2 question{};
  question.sdiag_family = static_cast<__u8>(family);
  question.sdiag_protocol = static_cast<__u8>(protocol);
  question.idiag_states = states;
  question.id.idiag_sport = htons(address.port());
  question.id.idiag_cookie[0] = question.id.idiag_cookie[1] = ~0u;
  return ask(question, NLM_F_DUMP, [&](const nlmsghdr& answer) {
    inet_diag_msg message{};
    if (answer.nlmsg_len < NLMSG_LENGTH(sizeof message)) return;
    std::memcpy(&message, NLMSG_DATA(&answer), sizeof message);
    if (message.id.idiag_sport == question.id.idiag_sport) take(message);
  });
}

// One attribute of a Unix socket; nullopt: the kernel does not say. `show`: what to ask for.
template <class Attribute>
std::optional<Attribute> unix_attribute(int fd, unsigned show, int type) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return std::nullopt;
  unix_diag_req question{};
  question.sdiag_family = AF_UNIX;
  question.udiag_states = ~0u;
  question.udiag_ino = static_cast<__u32>(info.st_ino);
  question.udiag_show = show;
  question.udiag_cookie[0] = question.udiag_cookie[1] = ~0u;  // any cookie
  std::optional<Attribute> found;
  ask(question, 0, [&found, type](const nlmsghdr& answer) {
    auto left = static_cast<unsigned>(answer.nlmsg_len - NLMSG_SPACE(sizeof(unix_diag_msg)));
    auto* attribute = reinterpret_cast<const rtattr*>(reinterpret_cast<const char*>(NLMSG_DATA(&answer)) +
                                                      NLMSG_ALIGN(sizeof(unix_diag_msg)));
    for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
      Attribute value{};
      if (attribute->rta_type != type || RTA_PAYLOAD(attribute) < sizeof value) continue;
      std::memcpy(&value, RTA_DATA(attribute), sizeof value);
      found = value;
    }
  });
  return found;
}

std::optional<std::size_t> unix_queue(int fd) {
  const auto length = unix_attribute<unix_diag_rqlen>(fd, UDIAG_SHOW_RQLEN, UNIX_DIAG_RQLEN);
  return length ? std::optional<std::size_t>(length->udiag_rqueue) : std::nullopt;
}

}  // namespace

std::optional<std::size_t> accept_queue(int fd) {
  if (socket_option(fd, SOL_SOCKET, SO_DOMAIN) == AF_UNIX) return unix_queue(fd);
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return std::nullopt;
  return info.tcpi_unacked;  // for a listening socket: the accept queue (tcp_get_info in the kernel)
}

std::optional<std::uint64_t> unix_file(int fd) {
  const auto file = unix_attribute<unix_diag_vfs>(fd, UDIAG_SHOW_VFS, UNIX_DIAG_VFS);
  return file ? std::optional<std::uint64_t>(file->udiag_vfs_ino) : std::nullopt;
}

bool has_waiting_connection(int fd) {
  pollfd watch{fd, POLLIN, 0};
  return ::poll(&watch, 1, 0) == 1 && (watch.revents & POLLIN);
}

std::size_t waiting_at(int fd) {
  return fd < 0 ? 0 : accept_queue(fd).value_or(has_waiting_connection(fd) ? 1 : 0);
}

std::optional<std::set<std::uint64_t>> holders_of(const SocketAddress& address, int protocol) {
  std::set<std::uint64_t> found;
  const unsigned states = protocol == IPPROTO_TCP ? listening | bound_inactive : ~0u;
  for (const int family : {AF_INET, AF_INET6})
    if (!ask_inet(family, protocol, states, address, [&](const inet_diag_msg& one) {
          if (excludes(one, address)) found.insert(cookie_in(one));
        }))
      return std::nullopt;
  return found;
}

std::optional<std::set<std::uint64_t>> handshakes_at(const SocketAddress& address) {
  std::set<std::uint64_t> found;
  const bool asked = ask_inet(address.storage.ss_family, IPPROTO_TCP, syn_recv | new_syn_recv, address,
                              [&](const inet_diag_msg& one) { found.insert(cookie_in(one)); });
  return asked ? std::optional(found) : std::nullopt;
}

}  // namespace liveswap::master
