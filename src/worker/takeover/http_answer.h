/*
 * How far an answer in HTTP/1.x has come, by the bytes that the application sends. The head of an answer says
 * how its body ends: after so many bytes, with the last chunk, or with the connection. Nothing else is
 * understood, and nothing is kept but where in the grammar the last byte was; so an answer may come in pieces
 * of any size.
 *
 * What is no HTTP/1.x (TLS, HTTP/2, a protocol of its own), what a connection is upgraded to (101), and what
 * breaks the grammar is ANSWER_FOREIGN from there on. Whether an answer to HEAD ends with its head is in the
 * request: the caller says so.
 *
 * Pure: no calls, no memory, time in proportion to the heads; of a body only the sizes of chunks are looked
 * at.
 */
#ifndef LIVESWAP_WORKER_TAKEOVER_HTTP_ANSWER_H
#define LIVESWAP_WORKER_TAKEOVER_HTTP_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum answer_phase {
  ANSWER_UNSEEN = 0, /* nothing is known of this connection */
  ANSWER_FOREIGN,    /* no HTTP/1.x, for good */
  ANSWER_BETWEEN,    /* the last one is complete, or none has begun */
  ANSWER_VERSION,    /* in "HTTP/1.", then the digit, the blank and the status */
  ANSWER_LINE,       /* in a line of the head that does not matter */
  ANSWER_LINE_START,
  ANSWER_NAME_OF_LENGTH, /* in a name that may be Content-Length */
  ANSWER_NAME_OF_CODING, /* … Transfer-Encoding */
  ANSWER_LENGTH,         /* in the value of Content-Length */
  ANSWER_CODING,         /* in that of Transfer-Encoding */
  ANSWER_BODY,           /* `left` bytes of it are to come */
  ANSWER_UNTIL_CLOSE,
  ANSWER_CHUNK_SIZE,
  ANSWER_CHUNK_LINE, /* behind the size */
  ANSWER_CHUNK,      /* `left` bytes of it are to come */
  ANSWER_CHUNK_END,
  ANSWER_TRAILER, /* at the start of a line */
  ANSWER_TRAILER_LINE,
};

/* What the request was, as far as its first bytes were seen: of ASKED_SOMETHING too few came at once. */
enum answer_asked { ASKED_NOTHING, ASKED_SOMETHING, ASKED_HEAD, ASKED_OTHER };

struct answer {
  uint64_t left; /* bytes; or the number that is just being read */
  uint16_t status;
  uint8_t phase;   /* enum answer_phase */
  uint8_t matched; /* bytes of a word, digits of a number */
  uint8_t flags;   /* within takeover/http_answer.c */
  uint8_t asked;   /* enum answer_asked; NOTHING again with the end of an answer */
};

enum http_answer_state {
  ANSWER_UNKNOWN,
  ANSWER_COMPLETE,
  ANSWER_ASKED, /* none has begun, but bytes of a request have been received since the last one */
  ANSWER_UNFINISHED,
  ANSWER_DOUBTFUL, /* its head is complete and says that a body follows, which has not begun: it may have been
                      for HEAD */
};

/* A connection on which nothing has been sent. */
void http_answer_begin(struct answer* answer);

/* The application has sent these bytes, in one call or in a part of one. */
void http_answer_feed(struct answer* answer, const char* bytes, size_t size);

/* The application has sent so many bytes, from a file. */
void http_answer_skip(struct answer* answer, size_t size);

/* The application has received these bytes: when nothing is under way, they begin the next request. Not by
 * ends of lines, which some clients send behind a body. */
void http_answer_note_request(struct answer* answer, const char* bytes, size_t size);

enum http_answer_state http_answer_state(const struct answer* answer);

#endif
