/*
 * A server that binds what a plan says: `binder DIRECTORY` reads DIRECTORY/VERSION.plan. Each line has a word
 * and its argument:
 *
 *   listen WHERE      listens at WHERE: as for listen_at() of http.h, or "0", a port that the kernel chooses
 *   udp PORT          receives datagrams, and answers each with VERSION
 *   udp-thread PORT   the same, by a thread that blocks in recvfrom()
 *   later MS WHERE    listens after it has served for MS milliseconds
 *   die MS            exits after that time, like a server that cannot start
 *   deaf WHERE        listens and never accepts
 *   wait FILE         does not go on before the file exists
 *   ready FILE        calls liveswap_ready() when the file exists
 *   own-drain FILE    drains by itself, and then writes the file
 *   term FILE         handles SIGTERM: the handler writes the file
 *   term-sigwait FILE, term-signalfd FILE
 *                     blocks SIGTERM; a thread waits for the signal, and writes the file
 *   ignore-term       ignores SIGTERM
 *   hold FILE         holds the worker until the file exists
 *   fail              exits, like a server that cannot start
 *
 * With anything but a directory, `binder WORD … PORT` listens at the port. After a SIGUSR1 it does to its
 * listeners all that a program may do to its own, goes on with those that are left, and writes
 * DIRECTORY/hurt.PID.
 */
#include "../unmodified/http.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/signalfd.h>
#include <time.h>

#include <liveswap_plugin.h>

enum { ENTRIES_MAX = 64 };
enum what { LISTENER, DATAGRAMS, CLIENT };

static struct entry {
  enum what what;
  struct client client;
} entries[ENTRIES_MAX];
static int count;

static char directory[200], later_where[128], ready_file[256], drain_file[256], term_file[256];
static long later_ms = -1, die_ms = -1;
static int drain_fd = -1;
static volatile sig_atomic_t hurt;

static void write_file(const char* path) {
  const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd >= 0) close(fd);
}

static void add(enum what what, int fd) {
  if (count == ENTRIES_MAX) {
    close(fd);
    return;
  }
  entries[count].what = what;
  entries[count].client.fd = fd;
  entries[count++].client.size = 0;
}

static int bind_datagrams(const char* port, int flags) {
  const struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_port = htons((uint16_t)atoi(port))};
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | flags, 0);
  if (bind(fd, (const struct sockaddr*)&address, sizeof address) != 0) {
    perror("bind");
    exit(1);
  }
  return fd;
}

/* An error other than that of an answer to a client which has gone ends the server: a blocking socket does
 * not return EAGAIN. */
static void* answer_all(void* socket) {
  const int fd = *(int*)socket;
  struct sockaddr_storage peer;
  socklen_t size;
  char text[64];
  while (size = sizeof peer, recvfrom(fd, text, sizeof text, 0, (struct sockaddr*)&peer, &size) >= 0)
    sendto(fd, VERSION, strlen(VERSION), 0, (const struct sockaddr*)&peer, size);
  perror("recvfrom");
  _exit(1);
}

static void answer_in_thread(const char* port) {
  static int fd;
  pthread_t thread;
  fd = bind_datagrams(port, 0);
  if ((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0 || pthread_create(&thread, NULL, answer_all, &fd) != 0) exit(1);
}

static void wait_for(const char* path) {
  while (access(path, F_OK) != 0) poll(NULL, 0, 5);
}

static void on_term(int number) {
  (void)number;
  write_file(term_file);
  _exit(0);
}

/* How the program waits for SIGTERM: "sigwait" or "signalfd". */
static const char* term_way;

static void* take_term(void* context) {
  sigset_t term;
  int number = 0;
  (void)context;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  if (strcmp(term_way, "sigwait") == 0) {
    sigwait(&term, &number);
  } else {
    struct signalfd_siginfo info;
    const int fd = signalfd(-1, &term, SFD_CLOEXEC);
    if (read(fd, &info, sizeof info) != sizeof info) return NULL;
  }
  write_file(term_file);
  _exit(0);
}

/* Called before any other thread starts, because threads inherit blocked signals. */
static void wait_for_term(const char* way, const char* file) {
  sigset_t term;
  pthread_t thread;
  term_way = strdup(way);
  snprintf(term_file, sizeof term_file, "%s", file);
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &term, NULL);
  if (pthread_create(&thread, NULL, take_term, NULL) != 0) exit(1);
}

static void* release_when(void* file) {
  wait_for(file);
  liveswap_release();
  return NULL;
}

static void hold(const char* file) {
  pthread_t thread;
  liveswap_hold();
  if (pthread_create(&thread, NULL, release_when, strdup(file)) != 0) exit(1);
}

static void on_usr1(int number) {
  (void)number;
  hurt = 1;
}

static void carry_out(const char* word, const char* rest) {
  if (strcmp(word, "listen") == 0) add(LISTENER, listen_at(rest, SOCK_CLOEXEC));
  if (strcmp(word, "udp") == 0) add(DATAGRAMS, bind_datagrams(rest, SOCK_NONBLOCK));
  if (strcmp(word, "udp-thread") == 0) answer_in_thread(rest);
  if (strcmp(word, "later") == 0) sscanf(rest, "%ld %127s", &later_ms, later_where);
  if (strcmp(word, "die") == 0) die_ms = atol(rest);
  if (strcmp(word, "deaf") == 0) listen_at(rest, SOCK_CLOEXEC);
  if (strcmp(word, "wait") == 0) wait_for(rest);
  if (strcmp(word, "ready") == 0) {
    liveswap_defer_ready();
    snprintf(ready_file, sizeof ready_file, "%s", rest);
  }
  if (strcmp(word, "own-drain") == 0) {
    drain_fd = liveswap_drain_fd();
    snprintf(drain_file, sizeof drain_file, "%s", rest);
  }
  if (strcmp(word, "term") == 0) {
    snprintf(term_file, sizeof term_file, "%s", rest);
    signal(SIGTERM, on_term);
  }
  if (strncmp(word, "term-", 5) == 0) wait_for_term(word + 5, rest);
  if (strcmp(word, "ignore-term") == 0) signal(SIGTERM, SIG_IGN);
  if (strcmp(word, "hold") == 0) hold(rest);
  if (strcmp(word, "fail") == 0) exit(3);
}

static void follow_plan(void) {
  char path[256], line[512], word[32];
  snprintf(path, sizeof path, "%s/" VERSION ".plan", directory);
  FILE* plan = fopen(path, "re");
  if (plan == NULL) {
    perror(path);
    exit(1);
  }
  while (fgets(line, sizeof line, plan) != NULL) {
    int end = 0;
    line[strcspn(line, "\n")] = '\0';
    if (sscanf(line, "%31s %n", word, &end) == 1) carry_out(word, line + end);
  }
  fclose(plan);
}

static void hurt_listeners(void) {
  char path[256];
  for (int i = 0; i < count; ++i) {
    const int fd = entries[i].client.fd;
    if (entries[i].what != LISTENER) continue;
    listen(fd, 1);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    shutdown(fd, SHUT_RDWR);
    close(fd);
    entries[i--] = entries[--count];
  }
  hurt = 0;
  snprintf(path, sizeof path, "%s/hurt.%d", directory, (int)getpid());
  write_file(path);
}

static void answer_datagram(int fd) {
  struct sockaddr_storage peer;
  socklen_t size = sizeof peer;
  char text[64];
  if (recvfrom(fd, text, sizeof text, MSG_DONTWAIT, (struct sockaddr*)&peer, &size) < 0) return;
  sendto(fd, VERSION, strlen(VERSION), 0, (const struct sockaddr*)&peer, size);
}

static int clients(void) {
  int found = 0;
  for (int i = 0; i < count; ++i) found += entries[i].what == CLIENT;
  return found;
}

static void serve(int i) {
  const int fd = entries[i].client.fd;
  if (entries[i].what == LISTENER) {
    const int connection = accept(fd, NULL, NULL);
    if (connection >= 0) add(CLIENT, connection);
  } else if (entries[i].what == DATAGRAMS) {
    answer_datagram(fd);
  } else if (!serve_once(&entries[i].client)) {
    close(fd);
    entries[i] = entries[--count];
  }
}

static long now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* False: the server has drained. */
static bool turn(void) {
  struct pollfd wait[ENTRIES_MAX + 1];
  const int before = count;
  for (int i = 0; i < before; ++i) wait[i] = (struct pollfd){entries[i].client.fd, POLLIN, 0};
  wait[before] = (struct pollfd){drain_fd, POLLIN, 0};
  const bool waits = later_ms >= 0 || die_ms >= 0 || ready_file[0] != '\0' || wait[before].fd >= 0;
  const int found = poll(wait, (nfds_t)before + 1, waits ? 10 : -1);
  if (hurt) {
    hurt_listeners();
    return true;
  }
  if (found <= 0) return true;
  if (wait[before].revents != 0 && clients() == 0) {
    write_file(drain_file);
    return false;
  }
  for (int i = before - 1; i >= 0; --i)
    if (wait[i].revents != 0) serve(i);
  return true;
}

PROGRAM int main(int argc, char** argv) {
  signal(SIGUSR1, on_usr1);
  if (argc < 2) return 2;
  if (argv[1][0] == '/') {
    snprintf(directory, sizeof directory, "%s", argv[1]);
    follow_plan();
  } else {
    add(LISTENER, listen_at(argv[argc - 1], SOCK_CLOEXEC));
  }
  for (const long began = now_ms(); turn();) {
    if (later_ms >= 0 && now_ms() - began >= later_ms) {
      later_ms = -1;
      add(LISTENER, listen_at(later_where, SOCK_CLOEXEC));
    }
    if (die_ms >= 0 && now_ms() - began >= die_ms) {
      fprintf(stderr, "cannot read the cache\n");
      return 3;
    }
    if (ready_file[0] != '\0' && access(ready_file, F_OK) == 0) {
      ready_file[0] = '\0';
      liveswap_ready();
    }
  }
  return 0;
}
