/* liveswap_log(): sends lines to the master's log; counts lines that do not fit into the channel. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "channel.h"
#include "liveswap_plugin.h"

static atomic_uint dropped;

static bool send_line(int level, const char* text, size_t size) {
  return channel_try_send((struct liveswap_frame){.kind = LIVESWAP_LOG, .value = level}, text, size);
}

static void report_dropped(void) {
  const unsigned count = atomic_exchange(&dropped, 0);
  if (count == 0) return;
  char text[64];
  const int size = snprintf(text, sizeof text, "%u lines of log were dropped", count);
  if (!send_line(LIVESWAP_WARNING, text, (size_t)size)) atomic_fetch_add(&dropped, count);
}

/* The last place at or before `size` that does not split a UTF-8 sequence. `text` is longer than `size`. */
static size_t cut_before(const char* text, size_t size) {
  while (size > 0 && ((unsigned char)text[size] & 0xC0) == 0x80) --size;
  return size;
}

void liveswap_log(int level, const char* text) {
  static const char suffix[] = " [cut]";
  if (text == NULL) return;
  if (level < LIVESWAP_DEBUG) level = LIVESWAP_DEBUG;
  if (level > LIVESWAP_ERROR) level = LIVESWAP_ERROR;
  report_dropped();
  char line[LIVESWAP_LOG_MAX];
  size_t size = strnlen(text, LIVESWAP_LOG_MAX + 1);
  if (size > LIVESWAP_LOG_MAX) {
    size = cut_before(text, LIVESWAP_LOG_MAX - (sizeof suffix - 1));
    memcpy(line, text, size);
    memcpy(line + size, suffix, sizeof suffix - 1);
    size += sizeof suffix - 1;
    text = line;
  }
  if (!send_line(level, text, size)) atomic_fetch_add(&dropped, 1);
}
