#include "store/channel.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>

#include "contract/channel.h"

namespace liveswap::store {
namespace {

bool send_frame(liveswap_frame frame, const std::string& text) {
  iovec parts[2] = {{&frame, sizeof frame}, {const_cast<char*>(text.data()), text.size()}};
  msghdr packet{};
  packet.msg_iov = parts;
  packet.msg_iovlen = text.empty() ? 1 : 2;
  while (::sendmsg(LIVESWAP_FD_CHANNEL, &packet, MSG_NOSIGNAL) < 0) {
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != ENOBUFS) return false;
    pollfd room{LIVESWAP_FD_CHANNEL, POLLOUT, 0};
    ::poll(&room, 1, 20);  // POLLOUT of a Unix socket comes late: it is tried again without
  }
  return true;
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
  return send_frame({LIVESWAP_HOOK_DONE, 0, 0}, text);
}

bool send_refused(const std::string& why) {
  return send_frame({LIVESWAP_HOOK_DONE, 1, 0}, why.substr(0, LIVESWAP_TEXT_MAX));
}

bool send_failed(const std::string& why) {
  return send_frame({LIVESWAP_FAILED, LIVESWAP_STAGE_OPEN, 0}, why.substr(0, LIVESWAP_TEXT_MAX));
}

}  // namespace liveswap::store
