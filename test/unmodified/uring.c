/* io_uring: one request for all accepts (MULTISHOT), or one request for each; receive and send use the ring,
 * too. */
#include "http.h"

#include <liburing.h>

#ifdef SINGLE_ISSUER
#define RING_FLAGS IORING_SETUP_SINGLE_ISSUER
#else
#define RING_FLAGS 0
#endif

enum { ACCEPT, RECEIVE, SEND };

struct connection {
  struct client client;
  int doing;
  bool last;
  char out[16384];
};

static struct io_uring ring;
static struct connection listener = {.doing = ACCEPT};

static struct io_uring_sqe* request(struct connection* connection, int doing) {
  struct io_uring_sqe* sqe = io_uring_get_sqe(&ring);
  while (sqe == NULL) {
    io_uring_submit(&ring);
    sqe = io_uring_get_sqe(&ring);
  }
  connection->doing = doing;
  return sqe;
}

static void start_accept(void) {
  struct io_uring_sqe* sqe = request(&listener, ACCEPT);
#ifdef MULTISHOT
  io_uring_prep_multishot_accept(sqe, listener.client.fd, NULL, NULL, SOCK_CLOEXEC);
#else
  io_uring_prep_accept(sqe, listener.client.fd, NULL, NULL, SOCK_CLOEXEC);
#endif
  io_uring_sqe_set_data(sqe, &listener);
}

static void receive(struct connection* connection) {
  struct client* client = &connection->client;
  struct io_uring_sqe* sqe = request(connection, RECEIVE);
  io_uring_prep_recv(sqe, client->fd, client->in + client->size, sizeof client->in - client->size, 0);
  io_uring_sqe_set_data(sqe, connection);
}

static void accepted(int result, unsigned flags) {
  if ((flags & IORING_CQE_F_MORE) == 0) start_accept();
  if (result < 0) return;
  struct connection* connection = calloc(1, sizeof *connection);
  connection->client.fd = result;
  receive(connection);
}

static void end(struct connection* connection) {
  close(connection->client.fd);
  free(connection);
}

static void received(struct connection* connection, int result) {
  if (result <= 0) {
    end(connection);
    return;
  }
  connection->client.size += (size_t)result;
  const size_t made =
      answers_to(&connection->client, connection->out, sizeof connection->out, &connection->last);
  if (made == 0) {
    receive(connection);
    return;
  }
  struct io_uring_sqe* sqe = request(connection, SEND);
  io_uring_prep_send(sqe, connection->client.fd, connection->out, made, MSG_NOSIGNAL);
  io_uring_sqe_set_data(sqe, connection);
}

PROGRAM int main(int argc, char** argv) {
  listener.client.fd = listen_at(argc > 1 ? argv[1] : "8080", SOCK_CLOEXEC);
  if (io_uring_queue_init(256, &ring, RING_FLAGS) != 0) return 1;
  start_accept();
  for (;;) {
    struct io_uring_cqe* cqe = NULL;
    if (io_uring_submit_and_wait(&ring, 1) < 0 && errno != EINTR) continue;
    while (io_uring_peek_cqe(&ring, &cqe) == 0) {
      struct connection* connection = io_uring_cqe_get_data(cqe);
      const int result = cqe->res;
      const unsigned flags = cqe->flags;
      io_uring_cqe_seen(&ring, cqe);
      if (connection->doing == ACCEPT) accepted(result, flags);
      else if (connection->doing == RECEIVE) received(connection, result);
      else if (result <= 0 || connection->last) end(connection);
      else receive(connection);
    }
  }
}
