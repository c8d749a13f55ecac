#include "keeper/held.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct descriptors {
  int* fds;
  size_t count, room;
  bool is_cut;
};

static struct descriptors held, coming;
static int state = -1;
static int64_t wait_ms;
static char text[LIVESWAP_KEEPER_TEXT_MAX];
static size_t text_size;
static struct held_output outputs[LIVESWAP_KEEPER_TEXT_MAX / sizeof(struct liveswap_keeper_output)];
static size_t output_count;

static void close_all(struct descriptors* of) {
  for (size_t i = 0; i < of->count; ++i) close(of->fds[i]);
  of->count = 0;
  of->is_cut = false;
}

static bool make_room(struct descriptors* in, size_t more) {
  if (in->count + more <= in->room) return true;
  const size_t room = 2 * (in->count + more);
  int* fds = realloc(in->fds, room * sizeof *fds);
  if (fds == NULL) return false;
  in->fds = fds;
  in->room = room;
  return true;
}

static void add(struct packet* packet) {
  if (packet->is_cut || !make_room(&coming, packet->fd_count)) {
    for (size_t i = 0; i < packet->fd_count; ++i) close(packet->fds[i]);
    coming.is_cut = true;
    return;
  }
  memcpy(coming.fds + coming.count, packet->fds, packet->fd_count * sizeof *packet->fds);
  coming.count += packet->fd_count;
}

static int descriptor_at(uint32_t place) {
  if (place == LIVESWAP_KEEPER_STDOUT) return STDOUT_FILENO;
  if (place == LIVESWAP_KEEPER_STDERR) return STDERR_FILENO;
  return place < held.count ? held.fds[place] : -1;
}

static void find_outputs(void) {
  output_count = 0;
  for (size_t at = 0; at + sizeof(struct liveswap_keeper_output) <= text_size;
       at += sizeof(struct liveswap_keeper_output)) {
    struct liveswap_keeper_output one;
    memcpy(&one, text + at, sizeof one);
    const struct held_output found = {one.reader < held.count ? held.fds[one.reader] : -1,
                                      descriptor_at(one.target)};
    if (found.reader >= 0 && found.target >= 0) outputs[output_count++] = found;
  }
}

static void put_in_force(const struct packet* packet) {
  close_all(&held);
  const struct descriptors empty = held;
  held = coming;
  coming = empty;
  if (state >= 0) close(state);
  state = packet->fds[0];
  wait_ms = packet->frame.value;
  memcpy(text, packet->text, packet->size);
  text_size = packet->size;
  find_outputs();
}

bool held_take(struct packet* packet) {
  if (packet->frame.kind == LIVESWAP_KEEPER_DESCRIPTORS) {
    if (packet->frame.count == 1) close_all(&coming);
    add(packet);
    return true;
  }
  if (packet->fd_count == 1 && !packet->is_cut && !coming.is_cut && coming.count == packet->frame.count) {
    put_in_force(packet);
    return true;
  }
  for (size_t i = 0; i < packet->fd_count; ++i) close(packet->fds[i]);
  close_all(&coming);
  return false;
}

void held_drop_incomplete(void) { close_all(&coming); }

bool held_any(void) { return state >= 0; }

int64_t held_wait_ms(void) { return wait_ms; }

bool held_send(int link, bool all, int64_t left_ms) {
  for (size_t at = 0; all && at < held.count; at += LIVESWAP_KEEPER_DESCRIPTORS_MAX) {
    const size_t left = held.count - at;
    const size_t count = left < LIVESWAP_KEEPER_DESCRIPTORS_MAX ? left : LIVESWAP_KEEPER_DESCRIPTORS_MAX;
    const struct liveswap_keeper_frame part = {.kind = LIVESWAP_KEEPER_DESCRIPTORS};
    if (!link_send(link, part, NULL, 0, held.fds + at, count)) return false;
  }
  const struct liveswap_keeper_frame frame = {LIVESWAP_KEEPER_STATE, all ? (uint32_t)held.count : 0, left_ms};
  return link_send(link, frame, text, all ? text_size : 0, &state, state >= 0 ? 1 : 0);
}

size_t held_outputs(const struct held_output** found) {
  *found = outputs;
  return output_count;
}

void held_forget_output(int reader) {
  for (size_t i = 0; i < output_count; ++i)
    if (outputs[i].reader == reader) outputs[i--] = outputs[--output_count];
}
