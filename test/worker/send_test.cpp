// What is sent by dprintf() is followed (takeover/send.c): as it was sent, or not any more.
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <initializer_list>
#include <string>

extern "C" {
#include "worker/takeover/http_answer.h"
#include "worker/takeover/tcp_state.h"

enum http_answer_state traffic_answer(int fd, const struct connection* connection);
void traffic_accepted(int fd);
int (*send_test_set_vdprintf(int (*print)(int, const char*, va_list)))(int, const char*, va_list);
int64_t drain_age_ms(void) { return 0; }
int64_t drain_patience_ms(void) { return 30'000; }
}

namespace {

struct Ends {
  Ends() {
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    traffic_accepted(fds[0]);
  }
  ~Ends() {
    for (const int fd : fds) ::close(fd);
  }
  int fds[2];
};

// No literal, for compilers warn of %m.
const std::string error_head = "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%m";

}  // namespace

TEST_CASE("send: dprintf() shows the errno of its caller, in what is sent and in what is followed") {
  for (const int error : {EAGAIN, EINPROGRESS}) {
    Ends ends;
    const char* const format = error_head.c_str();
    const std::size_t size = std::strlen(std::strerror(error));
    errno = error;
    CHECK(::dprintf(ends.fds[0], format, size) > 0);
    CHECK(traffic_answer(ends.fds[0], nullptr) == ANSWER_COMPLETE);
  }
}

namespace {

char body[] = "hello";
int (*libcs)(int, const char*, va_list) = nullptr;

// The text is another one as soon as it has been sent.
int print_and_shorten(int fd, const char* format, va_list values) {
  const int sent = libcs(fd, format, values);
  body[2] = '\0';
  return sent;
}

}  // namespace

TEST_CASE("send: a text that is another one the second time is not followed") {
  Ends ends;
  libcs = send_test_set_vdprintf(print_and_shorten);
  CHECK(::dprintf(ends.fds[0], "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n%s", body) > 5);
  send_test_set_vdprintf(libcs);
  CHECK(traffic_answer(ends.fds[0], nullptr) == ANSWER_UNKNOWN);
}
