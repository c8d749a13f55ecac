#include "store/channel.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "contract/channel.h"

namespace liveswap::store {
namespace {

bool send_frame(liveswap_frame frame, const std::string& text, int descriptor = -1) {
  iovec parts[2] = {{&frame, sizeof frame}, {const_cast<char*>(text.data()), text.size()}};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr packet{};
  packet.msg_iov = parts;
  packet.msg_iovlen = text.empty() ? 1 : 2;
  if (descriptor >= 0) {
    packet.msg_control = control;
    packet.msg_controllen = sizeof control;
    cmsghdr* rights = CMSG_FIRSTHDR(&packet);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof descriptor);
    std::memcpy(CMSG_DATA(rights), &descriptor, sizeof descriptor);
  }
  while (::sendmsg(LIVESWAP_FD_CHANNEL, &packet, MSG_NOSIGNAL) < 0) {
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != ENOBUFS) return false;
    pollfd room{LIVESWAP_FD_CHANNEL, POLLOUT, 0};
    ::poll(&room, 1, 20);  // at most 20 ms: the kernel may report POLLOUT of a Unix socket late
  }
  return true;
}

Result<UniqueFd> in_memory(std::string_view text) {
  auto fd = UniqueFd::adopt(::memfd_create("liveswap-answer", MFD_CLOEXEC));
  if (!fd) return os_fail("make a file in memory for", "the answer", errno);
  while (!text.empty()) {
    const ssize_t n = ::write(fd.get(), text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return os_fail("write", "the answer", errno);
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return fd;
}

}  // namespace

bool adopt_channel() {
  int type = 0;
  socklen_t size = sizeof type;
  if (::getsockopt(LIVESWAP_FD_CHANNEL, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_SEQPACKET)
    return false;
  ::fcntl(LIVESWAP_FD_CHANNEL, F_SETFD, FD_CLOEXEC);
  return true;
}

bool send_done(const std::string& text) {
  if (text.size() > LIVESWAP_TEXT_MAX) return send_failed("the answer has more bytes than a frame can hold");
  return send_frame({LIVESWAP_TASK_DONE, 0, 0}, text);
}

bool send_document(const std::string& text) {
  const auto document = in_memory(text);
  if (!document) return send_failed(document.error().text);
  return send_frame({LIVESWAP_TASK_DONE, 0, text.size()}, "", document->get());
}

bool send_refused(const std::string& why) {
  return send_frame({LIVESWAP_TASK_DONE, 1, 0}, why.substr(0, LIVESWAP_TEXT_MAX));
}

bool send_failed(const std::string& why) {
  return send_frame({LIVESWAP_FAILED, LIVESWAP_STAGE_OPEN, 0}, why.substr(0, LIVESWAP_TEXT_MAX));
}

}  // namespace liveswap::store
