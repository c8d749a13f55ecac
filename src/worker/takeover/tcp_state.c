#include "tcp_state.h"

#include <linux/sockios.h>
/* <netinet/tcp.h> has an older struct tcp_info and conflicts with this header. */
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "worker/base/libc.h"

/* From the kernel's net/tcp_states.h. */
enum { ESTABLISHED = 1, SYN_RECV = 3, FIN_WAIT1 = 4, FIN_WAIT2 = 5, CLOSE_WAIT = 8 };

enum {
  /* A delayed acknowledgment comes at most so late (RFC 1122, 4.2.3.2). */
  ACK_LIMIT_MS = 500,
  /* TCP_DELACK_MAX of Linux: after this time a delayed acknowledgment was sent. */
  DELAYED_ACK_MS = 200,
};

static int64_t speaks_for(const struct tcp_info* info) {
  const int64_t longer = (int64_t)info->tcpi_last_data_recv - info->tcpi_last_data_sent;
  return info->tcpi_bytes_received > 0 && info->tcpi_bytes_sent > 0 && longer > 0 ? longer : 0;
}

static enum connection_state state_of(const struct tcp_info* info) {
  switch (info->tcpi_state) {
    case ESTABLISHED:
    case SYN_RECV: return CONNECTION_OPEN;
    case CLOSE_WAIT: return CONNECTION_LEFT;
    case FIN_WAIT1:
    case FIN_WAIT2: return CONNECTION_CLOSED;
    default: return CONNECTION_OVER;
  }
}

/*
 * The request and the last answer fall into the same tick of the kernel's clock. Either the application has
 * answered at once, or the client has sent its next request at once. In the former case the client
 * acknowledges the answer a little later, in a packet without data. Also, Linux then treats the connection as
 * interactive ("pingpong", read by TCP_QUICKACK), but no longer once it had to acknowledge a request before
 * the answer.
 */
static enum last_word of_one_tick(int fd, const struct tcp_info* info) {
  const int64_t later = (int64_t)info->tcpi_last_data_recv - info->tcpi_last_ack_recv;
  if (later > 0 && later <= ACK_LIMIT_MS) return LAST_APPLICATIONS;
  int quick = 1;
  socklen_t size = sizeof quick;
  if (info->tcpi_last_data_recv <= DELAYED_ACK_MS) return LAST_UNCLEAR;
  return getsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &quick, &size) == 0 && quick == 0 ? LAST_APPLICATIONS
                                                                                     : LAST_UNCLEAR;
}

static enum last_word last_word(int fd, const struct tcp_info* info) {
  if (info->tcpi_bytes_received == 0) return info->tcpi_bytes_sent == 0 ? LAST_NOBODYS : LAST_APPLICATIONS;
  if (info->tcpi_bytes_sent == 0 || info->tcpi_last_data_sent > info->tcpi_last_data_recv)
    return LAST_CLIENTS;
  return info->tcpi_last_data_sent < info->tcpi_last_data_recv ? LAST_APPLICATIONS : of_one_tick(fd, info);
}

/* SIOCOUTQNSD, not SIOCOUTQ, which includes sent bytes that wait for a delayed acknowledgment. */
static bool is_empty(int fd) {
  int in = 0;
  int out = 0;
  return libc.ioctl(fd, SIOCINQ, &in) == 0 && in == 0 && (libc.ioctl(fd, SIOCOUTQNSD, &out) != 0 || out == 0);
}

bool tcp_state_look(int fd, struct connection* connection) {
  struct tcp_info info;
  socklen_t size = sizeof info;
  memset(&info, 0, sizeof info);
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return false;
  /* The kernel counts the client's FIN as a byte. */
  if (info.tcpi_state == CLOSE_WAIT && info.tcpi_bytes_received > 0) --info.tcpi_bytes_received;
  *connection = (struct connection){.state = state_of(&info),
                                    .last = last_word(fd, &info),
                                    .is_empty = is_empty(fd),
                                    .silent_ms = info.tcpi_last_data_sent,
                                    .speaks_ms = speaks_for(&info),
                                    .round_trip_ms = info.tcpi_min_rtt / 1000,
                                    .received = info.tcpi_bytes_received,
                                    .sent = info.tcpi_bytes_sent,
                                    .acked = info.tcpi_bytes_acked,
                                    .has_unacked = info.tcpi_unacked > 0 || info.tcpi_notsent_bytes > 0};
  return true;
}

/* Two system calls: repeat until no byte came in between. The receive buffer bounds the repetitions. */
bool tcp_state_look_unread(int fd, struct connection* connection, uint64_t* unread) {
  uint64_t before = 0;
  int queued = 0;
  if (!tcp_state_look(fd, connection)) return false;
  do {
    before = connection->received;
    if (libc.ioctl(fd, SIOCINQ, &queued) != 0 || !tcp_state_look(fd, connection)) return false;
  } while (connection->received != before);
  *unread = (uint64_t)queued;
  return true;
}
