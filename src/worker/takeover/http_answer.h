/*
 * Follows HTTP/1.x answers by the bytes that the application sends, to tell a pause within an answer from its
 * end. The head of an answer says how the body ends: after a number of bytes, with the last chunk, or with
 * the connection. The parser stores only the position in the grammar, so an answer may come in pieces of any
 * size.
 *
 * What is not HTTP/1.x (TLS, HTTP/2, other protocols), what follows a 101, and what breaks the grammar is
 * ANSWER_FOREIGN from there on. Only the request tells that an answer to HEAD has no body: see
 * http_answer_note_request.
 *
 * Pure: no system calls, no memory. The cost is proportional to the heads; of a body only chunk sizes are
 * read.
 */
#ifndef LIVESWAP_WORKER_TAKEOVER_HTTP_ANSWER_H
#define LIVESWAP_WORKER_TAKEOVER_HTTP_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum answer_phase {
  ANSWER_UNSEEN = 0, /* nothing is known of this connection */
  ANSWER_FOREIGN,    /* not HTTP/1.x, for good */
  ANSWER_BETWEEN,    /* the last answer is complete, or none has begun */
  ANSWER_VERSION,    /* in "HTTP/1.", the digit, the blank or the status */
  ANSWER_LINE,       /* in a line of the head that does not matter */
  ANSWER_LINE_START,
  ANSWER_NAME_OF_LENGTH, /* in a name that may be Content-Length */
  ANSWER_NAME_OF_CODING, /* in a name that may be Transfer-Encoding */
  ANSWER_LENGTH,         /* in the value of Content-Length */
  ANSWER_CODING,         /* in the value of Transfer-Encoding */
  ANSWER_BODY,           /* `left` bytes are to come */
  ANSWER_UNTIL_CLOSE,
  ANSWER_CHUNK_SIZE,
  ANSWER_CHUNK_LINE, /* after the size */
  ANSWER_CHUNK,      /* `left` bytes are to come */
  ANSWER_CHUNK_END,
  ANSWER_TRAILER, /* at the start of a line */
  ANSWER_TRAILER_LINE,
};

/* What the first bytes of the request were. ASKED_SOMETHING: too few came at once to tell. */
enum answer_asked { ASKED_NOTHING, ASKED_SOMETHING, ASKED_HEAD, ASKED_OTHER };

struct answer {
  uint64_t left; /* bytes to come; or the number that is being read */
  uint16_t status;
  uint8_t phase;   /* enum answer_phase */
  uint8_t matched; /* bytes of a word or digits of a number so far */
  uint8_t flags;   /* enum flag of takeover/http_answer.c */
  uint8_t asked;   /* enum answer_asked; ASKED_NOTHING again after the answer */
};

enum http_answer_state {
  ANSWER_UNKNOWN,
  ANSWER_COMPLETE,
  ANSWER_ASKED, /* no answer has begun, but bytes of a request came after the last one */
  ANSWER_UNFINISHED,
  ANSWER_DOUBTFUL, /* the head announces a body, which has not begun: the request may have been a HEAD */
};

/* The state of a new connection. */
void http_answer_begin(struct answer* answer);

/* The application has sent these bytes. */
void http_answer_feed(struct answer* answer, const char* bytes, size_t size);

/* The application has sent `size` bytes from a file. */
void http_answer_skip(struct answer* answer, size_t size);

/* The application has received these bytes: between two answers they begin the next request. Newlines alone
 * do not, since some clients send one after a body. */
void http_answer_note_request(struct answer* answer, const char* bytes, size_t size);

enum http_answer_state http_answer_state(const struct answer* answer);

#endif
