/*
 * A server that sets options on its lent listener when a request says so (GET /md5 …). It greets each client
 * with its version before the client has sent anything, as SMTP does; so a test sees whether accept() waits
 * for the client's first byte (TCP_DEFER_ACCEPT). In mode "bad" it sets TCP_DEFER_ACCEPT at its start, and
 * fails.
 */
#define _GNU_SOURCE 1
#include <linux/filter.h>
#include <liveswap_plugin.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int set(int fd, int level, int name, const void* value, size_t size) {
  return setsockopt(fd, level, name, value, (socklen_t)size);
}

static void set_key(int fd) {
  struct tcp_md5sig key;
  memset(&key, 0, sizeof key);
  struct sockaddr_in* const address = (struct sockaddr_in*)&key.tcpm_addr;
  address->sin_family = AF_INET;
  address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  key.tcpm_keylen = 3;
  memcpy(key.tcpm_key, "abc", 3);
  if (set(fd, IPPROTO_TCP, TCP_MD5SIG, &key, sizeof key) != 0) abort();
}

/* Attaches a filter that drops everything. */
static void set_filter(int fd) {
  struct sock_filter drop = {BPF_RET | BPF_K, 0, 0, 0};
  const struct sock_fprog program = {1, &drop};
  if (set(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0) abort();
}

static void change(int fd, const char* request) {
  static const int one = 1, nowhere = 99999, seconds = 30;
  if (strstr(request, "GET /md5 ") != NULL) set_key(fd);
  if (strstr(request, "GET /filter ") != NULL || strstr(request, "GET /locked ") != NULL) set_filter(fd);
  if (strstr(request, "GET /locked ") != NULL) set(fd, SOL_SOCKET, SO_LOCK_FILTER, &one, sizeof one);
  if (strstr(request, "GET /device ") != NULL)
    set(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &nowhere, sizeof nowhere);
  if (strstr(request, "GET /defer ") != NULL)
    set(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof seconds);
}

static void serve(int listener, int client) {
  static const char answer[] =
      "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\n" VERSION "\n";
  char request[1024] = "";
  send(client, answer, sizeof answer - 1, MSG_NOSIGNAL);
  shutdown(client, SHUT_WR);
  if (recv(client, request, sizeof request - 1, 0) > 0) change(listener, request);
  close(client);
}

int liveswap_main(int fd) {
  if (strcmp(VERSION, "bad") == 0) {
    change(fd, "GET /defer ");
    return 3;
  }
  struct pollfd wait[2] = {{liveswap_drain_fd(), POLLIN, 0}, {fd, POLLIN, 0}};
  while (poll(wait, 2, -1) >= 0 && wait[0].revents == 0) {
    const int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    if (client >= 0) serve(fd, client);
  }
  return 0;
}
