#include "descendants.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "forked_child.h"
#include "worker/api/listeners.h"
#include "worker/base/proc_self.h"

enum {
  PROCESSES_MAX = 8192,
  /* a power of two */
  SOCKETS_MAX = 32768,
  /* /proc lists processes by number. A child with a lower number than its parent is found by the next
   * pass. */
  PASSES_MAX = 4,
};

/* From the kernel's net/tcp_states.h, and SS_CONNECTED of <linux/net.h>. */
enum { TCP_TIME_WAIT = 6, TCP_CLOSE = 7, TCP_LISTEN = 10, SS_CONNECTED = 3 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pid_t processes[PROCESSES_MAX];
static int process_count;
/* Hash set of the inodes of their sockets; 0: free. */
static uint64_t sockets[SOCKETS_MAX];
static int socket_count;
static uint64_t connections;

bool descendants_may_be(void) { return forked_child_has_forked() || forked_child_exists(); }

static bool is_known(pid_t process) {
  for (int i = 0; i < process_count; ++i)
    if (processes[i] == process) return true;
  return false;
}

/* A descendant has this process as parent, group or session, or a known descendant. */
static bool comes_from_here(const struct self_process* process) {
  const pid_t own = getpid();
  return process->parent == own || process->group == own || process->session == own ||
         is_known(process->parent) || is_known(process->group) || is_known(process->session);
}

static void note_process(int number, void* context) {
  struct self_process process;
  if (number == getpid() || process_count == PROCESSES_MAX || is_known(number)) return;
  if (!proc_self_process_look(number, &process) || process.is_over || !comes_from_here(&process)) return;
  processes[process_count++] = number;
  *(bool*)context = true;
}

static void find_processes(void) {
  bool more = true;
  process_count = 0;
  for (int pass = 0; pass < PASSES_MAX && more; ++pass) {
    more = false;
    if (!proc_self_each_process(note_process, &more)) return;
    more = more && process_count < PROCESSES_MAX;
  }
}

/* The slot that has the inode, or is free for it. */
static uint64_t* place_of(uint64_t inode) {
  uint64_t at = inode * 0x9e3779b97f4a7c15u >> 32;
  while (sockets[at % SOCKETS_MAX] != 0 && sockets[at % SOCKETS_MAX] != inode) ++at;
  return &sockets[at % SOCKETS_MAX];
}

static void note_socket(const char* what, void* context) {
  unsigned long long inode = 0;
  (void)context;
  if (sscanf(what, "socket:[%llu]", &inode) != 1 || inode == 0) return;
  uint64_t* const place = place_of(inode);
  /* Half of the table stays free, so that a search ends soon. */
  if (*place != 0 || socket_count == SOCKETS_MAX / 2) return;
  *place = inode;
  ++socket_count;
}

static void find_sockets(void) {
  memset(sockets, 0, sizeof sockets);
  socket_count = 0;
  for (int i = 0; i < process_count; ++i) {
    /* A process that has just ended has none; one that may not be read counts as one connection. */
    if (!proc_self_each_descriptor_of(processes[i], note_socket, NULL) && errno != ENOENT && errno != ESRCH)
      ++connections;
  }
}

static bool is_descendants(uint64_t inode) { return inode != 0 && *place_of(inode) == inode; }

/* "  12: 0100007F:1F90 0100007F:D2A4 01 00000000:00000000 00:00000000 00000000  1000  0 123456 …" */
static void note_tcp(const char* line, void* context) {
  unsigned port = 0;
  unsigned state = 0;
  unsigned long long inode = 0;
  (void)context;
  if (sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*x:%*x %*x:%*x %*x %*u %*u %llu", &port,
             &state, &inode) != 3)
    return;
  if (state == TCP_TIME_WAIT || state == TCP_CLOSE || state == TCP_LISTEN) return;
  if (is_descendants(inode) && listeners_have_port((uint16_t)port)) ++connections;
}

/* "0000000000000000: 00000003 00000000 00000000 0001 03 123456 /run/app.sock": a connection has its
 * listener's path. */
static void note_unix(const char* line, void* context) {
  unsigned state = 0;
  unsigned long long inode = 0;
  int at = 0;
  (void)context;
  if (sscanf(line, "%*s %*x %*x %*x %*x %x %llu %n", &state, &inode, &at) != 2 || at == 0) return;
  if (state == SS_CONNECTED && is_descendants(inode) && listeners_at(line + at) != NULL) ++connections;
}

uint64_t descendants_connections(void) {
  pthread_mutex_lock(&lock);
  connections = 0;
  find_processes();
  find_sockets();
  if (socket_count > 0) {
    proc_self_each_line("net/tcp", note_tcp, NULL);
    proc_self_each_line("net/tcp6", note_tcp, NULL);
    proc_self_each_line("net/unix", note_unix, NULL);
  }
  const uint64_t count = connections;
  pthread_mutex_unlock(&lock);
  return count;
}
