#include "http_answer.h"

#include <string.h>

enum flag {
  HAS_LENGTH = 1,
  IS_CHUNKED = 2,
  BODY_HAS_BEGUN = 4,
  IS_INTERIM = 8, /* in ANSWER_BETWEEN: the last answer was a 1xx, the final one follows */
};

static const char version[] = "HTTP/1.";
static const char content_length[] = "content-length:";
static const char transfer_encoding[] = "transfer-encoding:";
static const char chunked[] = "chunked";

enum {
  VERSION_SIZE = sizeof version - 1,
  /* Offsets in "HTTP/1.1 200". */
  MINOR_AT = VERSION_SIZE,
  BLANK_AT,
  STATUS_AT,
  STATUS_END = STATUS_AT + 3,
  SWITCHING_PROTOCOLS = 101,
  NO_CONTENT = 204,
  NOT_MODIFIED = 304,
};

/* Larger numbers are refused, so that no sum overflows. */
static const uint64_t most = UINT64_C(1) << 56;

static char lower(char letter) {
  return letter >= 'A' && letter <= 'Z' ? (char)(letter + ('a' - 'A')) : letter;
}

static bool is_digit(char letter) { return letter >= '0' && letter <= '9'; }

static int hexadecimal(char letter) {
  const char small = lower(letter);
  if (is_digit(letter)) return letter - '0';
  return small >= 'a' && small <= 'f' ? small - 'a' + 10 : -1;
}

static void enter(struct answer* answer, enum answer_phase phase) {
  answer->phase = (uint8_t)phase;
  answer->matched = 0;
}

static void give_up(struct answer* answer) { *answer = (struct answer){.phase = ANSWER_FOREIGN}; }

void http_answer_begin(struct answer* answer) { *answer = (struct answer){.phase = ANSWER_BETWEEN}; }

static void complete(struct answer* answer) { http_answer_begin(answer); }

/* The head is complete. */
static void begin_body(struct answer* answer) {
  const bool is_interim = answer->status < 200;
  const bool has_none =
      answer->status == NO_CONTENT || answer->status == NOT_MODIFIED || answer->asked == ASKED_HEAD;
  if (answer->status == SWITCHING_PROTOCOLS) {
    give_up(answer);
  } else if (is_interim) {
    *answer = (struct answer){.phase = ANSWER_BETWEEN, .flags = IS_INTERIM, .asked = answer->asked};
  } else if (has_none) {
    complete(answer);
  } else if ((answer->flags & IS_CHUNKED) != 0) {
    answer->left = 0;
    enter(answer, ANSWER_CHUNK_SIZE);
  } else if ((answer->flags & HAS_LENGTH) == 0) {
    enter(answer, ANSWER_UNTIL_CLOSE);
  } else if (answer->left == 0) {
    complete(answer);
  } else {
    enter(answer, ANSWER_BODY);
  }
}

/*
 * The functions below consume bytes from the front of `bytes`, at least one, and return the rest; `end` is
 * behind the last byte. A call consumes a whole word or number if all of it is there, because the number of
 * calls determines the cost.
 */

static const char* in_version(struct answer* answer, const char* bytes, const char* end) {
  unsigned at = answer->matched;
  unsigned status = answer->status;
  if (at == 0 && end - bytes > VERSION_SIZE && memcmp(bytes, version, VERSION_SIZE) == 0) {
    bytes += VERSION_SIZE;
    at = VERSION_SIZE;
  }
  for (; bytes < end && at < STATUS_END; ++bytes, ++at) {
    const bool fits = at < VERSION_SIZE ? *bytes == version[at]
                      : at == BLANK_AT  ? *bytes == ' '
                                        : is_digit(*bytes);
    if (!fits) {
      give_up(answer);
      return end;
    }
    if (at >= STATUS_AT) status = status * 10 + (unsigned)(*bytes - '0');
  }
  answer->status = (uint16_t)status;
  answer->matched = (uint8_t)at;
  if (at == STATUS_END) enter(answer, ANSWER_LINE);
  return bytes;
}

/* Skips to the end of the line and enters `next`; without an end, consumes all. */
static const char* to_next_line(struct answer* answer, const char* bytes, const char* end,
                                enum answer_phase next) {
  const char* const line_end = memchr(bytes, '\n', (size_t)(end - bytes));
  if (line_end == NULL) return end;
  enter(answer, next);
  return line_end + 1;
}

static const char* at_line_start(struct answer* answer, const char* bytes, const char* end) {
  const char first = lower(*bytes);
  if (first == '\r') return bytes + 1;
  if (first == '\n') {
    begin_body(answer);
    return bytes + 1;
  }
  if (first == content_length[0] || first == transfer_encoding[0]) {
    enter(answer, first == content_length[0] ? ANSWER_NAME_OF_LENGTH : ANSWER_NAME_OF_CODING);
    return bytes;
  }
  enter(answer, ANSWER_LINE);
  return to_next_line(answer, bytes, end, ANSWER_LINE_START);
}

static const char* in_name(struct answer* answer, const char* bytes, const char* end, const char* name,
                           enum answer_phase value) {
  unsigned at = answer->matched;
  while (bytes < end && name[at] != '\0' && lower(*bytes) == name[at]) ++bytes, ++at;
  answer->matched = (uint8_t)at;
  if (name[at] == '\0') {
    if (value == ANSWER_LENGTH) answer->left = 0;
    enter(answer, value);
  } else if (bytes < end) {
    enter(answer, ANSWER_LINE);
  }
  return bytes;
}

static const char* in_length(struct answer* answer, const char* bytes, const char* end) {
  uint64_t length = answer->left;
  for (; bytes < end && *bytes != '\n'; ++bytes) {
    if (is_digit(*bytes) && length < most / 10) {
      length = length * 10 + (uint64_t)(*bytes - '0');
      answer->flags |= HAS_LENGTH;
    } else if (*bytes != ' ' && *bytes != '\t' && *bytes != '\r') {
      give_up(answer);
      return end;
    }
  }
  answer->left = length;
  if (bytes == end) return end;
  enter(answer, ANSWER_LINE_START);
  return bytes + 1;
}

static const char* in_coding(struct answer* answer, const char* bytes, const char* end) {
  for (; bytes < end && *bytes != '\n'; ++bytes) {
    const char letter = lower(*bytes);
    answer->matched =
        letter == chunked[answer->matched] ? (uint8_t)(answer->matched + 1) : letter == chunked[0];
    if (chunked[answer->matched] != '\0') continue;
    answer->flags |= IS_CHUNKED;
    answer->matched = 0;
  }
  if (bytes == end) return end;
  enter(answer, ANSWER_LINE_START);
  return bytes + 1;
}

static enum answer_phase behind_size(const struct answer* answer) {
  return answer->left > 0 ? ANSWER_CHUNK : ANSWER_TRAILER;
}

static const char* in_chunk_size(struct answer* answer, const char* bytes, const char* end) {
  for (; bytes < end; ++bytes) {
    const int digit = hexadecimal(*bytes);
    if (digit < 0 && answer->matched > 0) {
      enter(answer, ANSWER_CHUNK_LINE);
      return bytes;
    }
    if (digit < 0 || answer->left >= most / 16) {
      give_up(answer);
      return end;
    }
    answer->left = answer->left * 16 + (uint64_t)digit;
    answer->matched = 1;
    answer->flags |= BODY_HAS_BEGUN;
  }
  return bytes;
}

/* At "\r\n": enters `next`; at any other byte: `otherwise`. */
static const char* at_line_end(struct answer* answer, const char* bytes, enum answer_phase next,
                               enum answer_phase otherwise) {
  const enum answer_phase phase = *bytes == '\n' ? next : otherwise;
  if (*bytes == '\r') return bytes + 1;
  if (phase == ANSWER_BETWEEN) complete(answer);
  else if (phase == ANSWER_FOREIGN) give_up(answer);
  else enter(answer, phase);
  return bytes + 1;
}

/* Consumes up to `size` bytes of the body; returns how many. */
static size_t take_body(struct answer* answer, size_t size) {
  answer->flags |= BODY_HAS_BEGUN;
  if (answer->phase == ANSWER_UNTIL_CLOSE) return size;
  const size_t taken = size < answer->left ? size : (size_t)answer->left;
  answer->left -= taken;
  if (answer->left > 0) return taken;
  if (answer->phase == ANSWER_CHUNK) enter(answer, ANSWER_CHUNK_END);
  else complete(answer);
  return taken;
}

static const char* step(struct answer* answer, const char* bytes, const char* end) {
  switch ((enum answer_phase)answer->phase) {
    case ANSWER_UNSEEN:
    case ANSWER_FOREIGN: return end;
    case ANSWER_BETWEEN:
      *answer = (struct answer){.phase = ANSWER_VERSION, .asked = answer->asked};
      return in_version(answer, bytes, end);
    case ANSWER_VERSION: return in_version(answer, bytes, end);
    case ANSWER_LINE: return to_next_line(answer, bytes, end, ANSWER_LINE_START);
    case ANSWER_LINE_START: return at_line_start(answer, bytes, end);
    case ANSWER_NAME_OF_LENGTH: return in_name(answer, bytes, end, content_length, ANSWER_LENGTH);
    case ANSWER_NAME_OF_CODING: return in_name(answer, bytes, end, transfer_encoding, ANSWER_CODING);
    case ANSWER_LENGTH: return in_length(answer, bytes, end);
    case ANSWER_CODING: return in_coding(answer, bytes, end);
    case ANSWER_BODY:
    case ANSWER_UNTIL_CLOSE:
    case ANSWER_CHUNK: return bytes + take_body(answer, (size_t)(end - bytes));
    case ANSWER_CHUNK_SIZE: return in_chunk_size(answer, bytes, end);
    case ANSWER_CHUNK_LINE: return to_next_line(answer, bytes, end, behind_size(answer));
    case ANSWER_CHUNK_END: return at_line_end(answer, bytes, ANSWER_CHUNK_SIZE, ANSWER_FOREIGN);
    case ANSWER_TRAILER: return at_line_end(answer, bytes, ANSWER_BETWEEN, ANSWER_TRAILER_LINE);
    case ANSWER_TRAILER_LINE: return to_next_line(answer, bytes, end, ANSWER_TRAILER);
  }
  return end;
}

/* The head announces a body, of which no byte has come. */
static bool body_is_missing(const struct answer* answer) {
  const bool in_front = answer->phase == ANSWER_BODY || answer->phase == ANSWER_UNTIL_CLOSE ||
                        answer->phase == ANSWER_CHUNK_SIZE;
  return in_front && (answer->flags & BODY_HAS_BEGUN) == 0;
}

void http_answer_feed(struct answer* answer, const char* bytes, size_t size) {
  /* Another answer in place of the body: the request was a HEAD. */
  if (size >= VERSION_SIZE && body_is_missing(answer) && memcmp(bytes, version, VERSION_SIZE) == 0)
    complete(answer);
  const char* const end = bytes + size;
  while (bytes < end) bytes = step(answer, bytes, end);
}

void http_answer_skip(struct answer* answer, size_t size) {
  const bool fits = answer->phase == ANSWER_UNTIL_CLOSE ||
                    ((answer->phase == ANSWER_BODY || answer->phase == ANSWER_CHUNK) && size <= answer->left);
  if (fits) take_body(answer, size);
  else if (answer->phase != ANSWER_UNSEEN && size > 0) give_up(answer);
}

void http_answer_note_request(struct answer* answer, const char* bytes, size_t size) {
  static const char head[] = "HEAD ";
  if (answer->phase != ANSWER_BETWEEN || answer->asked != ASKED_NOTHING) return;
  for (; size > 0 && (*bytes == '\r' || *bytes == '\n'); --size) ++bytes;
  if (size == 0) return;
  if (size < sizeof head) answer->asked = ASKED_SOMETHING;
  else answer->asked = memcmp(bytes, head, sizeof head - 1) == 0 ? ASKED_HEAD : ASKED_OTHER;
}

enum http_answer_state http_answer_state(const struct answer* answer) {
  switch ((enum answer_phase)answer->phase) {
    case ANSWER_UNSEEN:
    case ANSWER_FOREIGN: return ANSWER_UNKNOWN;
    case ANSWER_BETWEEN:
      if ((answer->flags & IS_INTERIM) != 0) return ANSWER_UNFINISHED;
      return answer->asked != ASKED_NOTHING ? ANSWER_ASKED : ANSWER_COMPLETE;
    default:
      return body_is_missing(answer) && answer->asked != ASKED_OTHER ? ANSWER_DOUBTFUL : ANSWER_UNFINISHED;
  }
}
