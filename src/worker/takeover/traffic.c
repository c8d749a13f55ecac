#include "traffic.h"

#include "worker/api/drain.h"

struct traffic traffic_table[TRAFFIC_MAX];

union image {
  struct answer answer;
  uint64_t words[2];
};
_Static_assert(sizeof(struct answer) == sizeof(uint64_t[2]), "a place has room for an answer");

/* Relaxed atomics: as cheap as plain accesses, and no data race between two threads. */
static struct answer load(const struct traffic* place) {
  union image image;
  for (int i = 0; i < 2; ++i) image.words[i] = atomic_load_explicit(&place->answer[i], memory_order_relaxed);
  return image.answer;
}

static void store(struct traffic* place, struct answer answer) {
  union image image = {.words = {0, 0}};
  image.answer = answer;
  for (int i = 0; i < 2; ++i) atomic_store_explicit(&place->answer[i], image.words[i], memory_order_relaxed);
  if (answer.phase == ANSWER_FOREIGN) atomic_store_explicit(&place->followed, false, memory_order_relaxed);
}

static void add(struct traffic* place, size_t size) {
  const uint64_t before = atomic_load_explicit(&place->sent, memory_order_relaxed);
  atomic_store_explicit(&place->sent, before + size, memory_order_relaxed);
}

static void begin(int fd, uint64_t sent) {
  struct traffic* const place = &traffic_table[fd];
  struct answer answer;
  http_answer_begin(&answer);
  atomic_store_explicit(&place->sent, sent, memory_order_relaxed);
  store(place, answer);
  atomic_store_explicit(&place->followed, true, memory_order_relaxed);
}

void traffic_accepted(int fd) {
  if ((unsigned)fd < TRAFFIC_MAX) begin(fd, 0);
}

void traffic_adopted(int fd) {
  struct connection connection;
  if ((unsigned)fd >= TRAFFIC_MAX || !slow_path_has(SLOW_TRAFFIC)) return;
  if (tcp_state_look(fd, &connection) && !connection.has_unacked) begin(fd, connection.acked);
  else atomic_store_explicit(&traffic_table[fd].followed, false, memory_order_relaxed);
}

void traffic_sent(int fd, const void* bytes, size_t size) {
  traffic_sent_parts(fd, &(const struct iovec){(void*)bytes, size}, 1, size);
}

void traffic_sent_parts(int fd, const struct iovec* parts, size_t count, size_t size) {
  struct traffic* const place = &traffic_table[fd];
  struct answer answer = load(place);
  add(place, size);
  for (size_t i = 0; i < count && size > 0; ++i) {
    const size_t here = parts[i].iov_len < size ? parts[i].iov_len : size;
    http_answer_feed(&answer, parts[i].iov_base, here);
    size -= here;
  }
  store(place, answer);
}

void traffic_sent_file(int fd, size_t size) {
  struct traffic* const place = &traffic_table[fd];
  struct answer answer = load(place);
  http_answer_skip(&answer, size);
  add(place, size);
  store(place, answer);
}

void traffic_lost(int fd) { atomic_store_explicit(&traffic_table[fd].followed, false, memory_order_relaxed); }

void traffic_received(int fd, const void* bytes, size_t size) {
  struct traffic* const place = &traffic_table[fd];
  struct answer answer = load(place);
  const uint8_t before = answer.asked;
  http_answer_note_request(&answer, bytes, size);
  if (answer.asked != before) store(place, answer);
}

/* Whether the counted bytes agree with the kernel's: bytes in flight are counted here, but not yet
 * acknowledged. */
static bool is_counted(const struct traffic* place, const struct connection* connection) {
  const uint64_t sent = atomic_load_explicit(&place->sent, memory_order_relaxed);
  return connection->has_unacked ? sent > connection->acked : sent == connection->acked;
}

enum http_answer_state traffic_answer(int fd, const struct connection* connection) {
  if (!traffic_is_followed(fd)) return ANSWER_UNKNOWN;
  const struct traffic* const place = &traffic_table[fd];
  if (connection != NULL && !is_counted(place, connection)) return ANSWER_UNKNOWN;
  const struct answer answer = load(place);
  const enum http_answer_state state = http_answer_state(&answer);
  if (state != ANSWER_DOUBTFUL && state != ANSWER_ASKED) return state;
  const bool client_waits =
      state == ANSWER_ASKED || connection == NULL || connection->state == CONNECTION_OPEN;
  const bool may_go_on = client_waits && drain_age_ms() < drain_patience_ms();
  return may_go_on ? ANSWER_UNFINISHED : ANSWER_COMPLETE;
}
