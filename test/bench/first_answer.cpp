// How long a server takes from its start to its first answer, in milliseconds; then it is killed.
//
//   first-answer PORT COMMAND …
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace {

constexpr double limit_s = 30;
constexpr useconds_t pause_us = 500;
constexpr char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

double now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

bool is_answered(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  char first = 0;
  const bool answered = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
                        send(fd, request, sizeof request - 1, MSG_NOSIGNAL) > 0 &&
                        recv(fd, &first, 1, 0) == 1;
  close(fd);
  return answered;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const double began = now();
  const pid_t pid = fork();
  if (pid == 0) {
    const int nothing = open("/dev/null", O_WRONLY);
    dup2(nothing, STDOUT_FILENO);
    execvp(argv[2], argv + 2);
    _exit(127);
  }
  const int port = std::atoi(argv[1]);
  while (!is_answered(port) && now() < began + limit_s && waitpid(pid, nullptr, WNOHANG) == 0)
    usleep(pause_us);
  const double took = now() - began;
  const bool runs = waitpid(pid, nullptr, WNOHANG) == 0;
  if (runs) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }
  if (!runs || took >= limit_s) return 1;
  std::printf("%.1f\n", took * 1000);
}
