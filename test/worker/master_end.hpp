// The master's end of the channel, for parts of the host that run in the test's own process: descriptors lie
// where a master puts them (contract/channel.h), and the channel's other end is in the test's hands.
#pragma once

#include "host_headers.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"

extern "C" {
#include "contract/channel.h"
#include "worker/link/channel.h"
}

namespace liveswap::test {

// Nothing else gets these numbers: not what the tests open, and not what is opened before main().
inline const bool places_are_taken = [] {
  const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  constexpr int LAST = int{LIVESWAP_FD_LISTENERS} + LIVESWAP_LISTENERS_MAX;
  for (int fd = LIVESWAP_FD_CHANNEL; fd <= LAST; ++fd)
    if (::fcntl(fd, F_GETFD) < 0) ::dup3(nothing, fd, O_CLOEXEC);
  return true;
}();

inline bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

struct Received {
  std::uint32_t kind = 0;
  std::int32_t value = 0;
  std::uint64_t count = 0;
  std::string text;
  UniqueFd fd;
};

class MasterEnd {
 public:
  explicit MasterEnd(int type = SOCK_SEQPACKET) {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) == 0);
    // Away from the places: a test may have closed one.
    enum { BEYOND = 100 };
    mine_ = UniqueFd::adopt(::fcntl(ends[0], F_DUPFD_CLOEXEC, BEYOND));
    workers_ = UniqueFd::adopt(::fcntl(ends[1], F_DUPFD_CLOEXEC, BEYOND));
    for (const int end : ends) ::close(end);
  }

  // Puts the worker's end in its place, and what was said before is forgotten.
  bool adopt() {
    REQUIRE(::dup2(workers_.get(), LIVESWAP_FD_CHANNEL) == LIVESWAP_FD_CHANNEL);
    workers_.reset();
    return channel_adopt();
  }

  // The next frame; none when there is none, or when it is none of a worker's.
  std::optional<Received> receive() const {
    Received received;
    liveswap_frame frame;
    std::vector<char> text(LIVESWAP_TEXT_MAX + 1);
    iovec parts[2] = {{&frame, sizeof frame}, {text.data(), text.size()}};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr packet{};
    packet.msg_iov = parts, packet.msg_iovlen = 2, packet.msg_control = control,
    packet.msg_controllen = sizeof control;
    const ssize_t size = ::recvmsg(mine_.get(), &packet, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (size < static_cast<ssize_t>(sizeof frame)) return std::nullopt;
    if (const cmsghdr* header = CMSG_FIRSTHDR(&packet); header != nullptr) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
      received.fd = UniqueFd::adopt(fd);
    }
    received.kind = frame.kind, received.value = frame.value, received.count = frame.count;
    received.text.assign(text.data(), static_cast<std::size_t>(size) - sizeof frame);
    return received;
  }

  // The kinds of all frames that have come, in their order.
  std::vector<std::uint32_t> kinds() const {
    std::vector<std::uint32_t> found;
    while (const auto received = receive()) found.push_back(received->kind);
    return found;
  }

  // Any bytes as one packet, with descriptors beside them.
  void send_bytes(const std::string& bytes, const std::vector<int>& fds = {}) const {
    iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    std::vector<char> control(CMSG_SPACE(sizeof(int) * fds.size()));
    msghdr packet{};
    packet.msg_iov = &part, packet.msg_iovlen = 1;
    if (!fds.empty()) {
      packet.msg_control = control.data(), packet.msg_controllen = control.size();
      cmsghdr* const header = CMSG_FIRSTHDR(&packet);
      header->cmsg_level = SOL_SOCKET, header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
      std::memcpy(CMSG_DATA(header), fds.data(), sizeof(int) * fds.size());
    }
    REQUIRE(::sendmsg(mine_.get(), &packet, MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()));
  }

  void send(const liveswap_frame& frame, const std::string& text = "",
            const std::vector<int>& fds = {}) const {
    send_bytes(std::string(reinterpret_cast<const char*>(&frame), sizeof frame) + text, fds);
  }

  void die() { mine_.reset(); }

 private:
  UniqueFd mine_, workers_;
};

}  // namespace liveswap::test
