// How far an answer has come, by the bytes that were sent (takeover/answer.h): in whatever pieces they come,
// and whatever they are.
#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

extern "C" {
#include "worker/takeover/http_answer.h"
}

namespace {

struct Answer : answer {
  Answer() : answer() { http_answer_begin(this); }
  explicit Answer(const std::string& bytes) : Answer() { feed(bytes); }
  Answer& feed(const std::string& bytes) {
    http_answer_feed(this, bytes.data(), bytes.size());
    return *this;
  }
  Answer& skip(std::size_t size) {
    http_answer_skip(this, size);
    return *this;
  }
  Answer& asked(const std::string& request) {
    http_answer_note_request(this, request.data(), request.size());
    return *this;
  }
  enum http_answer_state state() const { return ::http_answer_state(this); }
};

const std::string ok = "HTTP/1.1 200 OK\r\n";
const std::string chunked = ok + "Transfer-Encoding: chunked\r\n\r\n";

std::string with_length(const std::string& length) { return ok + "Content-Length: " + length + "\r\n\r\n"; }

// The same, whatever the pieces.
void check(const std::string& bytes, enum http_answer_state expected) {
  CAPTURE(bytes);
  CHECK(Answer(bytes).state() == expected);
  Answer one_by_one;
  for (const char byte : bytes) one_by_one.feed(std::string(1, byte));
  CHECK(one_by_one.state() == expected);
  for (std::size_t at = 0; at <= bytes.size(); ++at) {
    Answer halves;
    CHECK(halves.feed(bytes.substr(0, at)).feed(bytes.substr(at)).state() == expected);
  }
}

}  // namespace

TEST_CASE("answer: nothing has begun") {
  CHECK(Answer().state() == ANSWER_COMPLETE);
  CHECK(answer{}.phase == ANSWER_UNSEEN);
  const answer unseen{};
  CHECK(http_answer_state(&unseen) == ANSWER_UNKNOWN);
}

TEST_CASE("answer: a head is unfinished until it ends") {
  for (const std::string head :
       {"H", "HTTP/1.1 2", "HTTP/1.1 200 OK\r\n", "HTTP/1.0 404 Not Found\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", "HTTP/1.1 204 No Content\r\n\r"})
    check(head, ANSWER_UNFINISHED);
}

TEST_CASE("answer: a length") {
  check(with_length("0"), ANSWER_COMPLETE);
  check(with_length("5") + "hello", ANSWER_COMPLETE);
  check(with_length("5") + "hell", ANSWER_UNFINISHED);
  check("HTTP/1.0 200\r\nCONTENT-LENGTH:5\r\nX: y\r\n\r\nhello", ANSWER_COMPLETE);
  check("HTTP/1.1 200 OK\nContent-Type: a\nContent-Length: 5\n\nhello", ANSWER_COMPLETE);
  check(ok + "Content-Encoding: gzip\r\nContent-Length-Of-Mine: 1\r\nTe: x\r\nContent-Length: 5\r\n\r\nhello",
        ANSWER_COMPLETE);
  check(with_length("5") + "\r\n\r\n\r", ANSWER_COMPLETE);
}

TEST_CASE("answer: chunks, with extensions and trailers") {
  check(chunked + "5\r\nhello\r\n0\r\n\r\n", ANSWER_COMPLETE);
  check(chunked + "5;name=\"a b\"\r\nhello\r\n00\r\n\r\n", ANSWER_COMPLETE);
  check(chunked + "5\r\nhello\r\n", ANSWER_UNFINISHED);
  check(chunked + "5\r\nhello\r\n0\r\n", ANSWER_UNFINISHED);
  check(chunked + "5\r\nhello\r\n0\r\nDigest: x\r\n", ANSWER_UNFINISHED);
  check(chunked + "5\r\nhello\r\n0\r\nDigest: x\r\nExpires: y\r\n\r\n", ANSWER_COMPLETE);
  // What looks like the end, in a chunk.
  check(chunked + "9\r\n\r\n0\r\n\r\n\r\n\r\n", ANSWER_UNFINISHED);
  check(chunked + "1F\r\n" + std::string(31, 'x') + "\r\n0\r\n\r\n", ANSWER_COMPLETE);
  check(ok + "transfer-encoding: gzip, Chunked\r\nContent-Length: 3\r\n\r\n1\r\nx\r\n", ANSWER_UNFINISHED);
}

TEST_CASE("answer: without either it ends with the connection") {
  check(ok + "Connection: close\r\n\r\nsome", ANSWER_UNFINISHED);
  check(ok + "\r\n" + std::string(100'000, 'x'), ANSWER_UNFINISHED);
}

TEST_CASE("answer: what has no body, and what is not the last word") {
  check("HTTP/1.1 204 No Content\r\n\r\n", ANSWER_COMPLETE);
  check("HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n", ANSWER_COMPLETE);
  check("HTTP/1.1 100 Continue\r\n\r\n", ANSWER_UNFINISHED);
  check("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + with_length("2") + "ok", ANSWER_COMPLETE);
  check("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x05hello", ANSWER_UNKNOWN);
}

TEST_CASE("answer: one after the other on a connection") {
  const std::string first = with_length("2") + "ok";
  check(first + first + chunked + "2\r\nok\r\n0\r\n\r\n", ANSWER_COMPLETE);
  check(first + chunked + "2\r\nok\r\n", ANSWER_UNFINISHED);
  check(chunked + "0\r\n\r\n" + with_length("3") + "ok", ANSWER_UNFINISHED);
}

TEST_CASE("answer: what is no HTTP/1.x is foreign for good") {
  const std::vector<std::string> foreign{"+PONG\r\n",           "\x16\x03\x01",       "HTTP/2 200\r\n\r\n",
                                         "HTTP/1.1 2x0 OK\r\n", "220 mail ready\r\n", "HTTP/1.1  200 OK\r\n",
                                         std::string(1, '\0')};
  for (const std::string& bytes : foreign) check(bytes + with_length("2") + "ok", ANSWER_UNKNOWN);
  check(with_length("2") + "ok" + "more", ANSWER_UNKNOWN);
  check(with_length("2, 2") + "ok", ANSWER_UNKNOWN);
  check(with_length("-1"), ANSWER_UNKNOWN);
  check(with_length(std::string(400, '9')), ANSWER_UNKNOWN);
  check(chunked + "\r\n", ANSWER_UNKNOWN);
  check(chunked + "2\r\nokay", ANSWER_UNKNOWN);
  check(chunked + std::string(400, 'f') + "\r\n", ANSWER_UNKNOWN);
}

TEST_CASE("answer: a head alone is one to HEAD, or one whose body has not begun") {
  for (const std::string& head : {with_length("5"), chunked, ok + "Connection: close\r\n\r\n"}) {
    CAPTURE(head);
    check(head, ANSWER_DOUBTFUL);
    CHECK(Answer().asked("GET / HTTP/1.1\r\n").feed(head).state() == ANSWER_UNFINISHED);
    CHECK(Answer().asked("HEAD / HTTP/1.1\r\n").feed(head).state() == ANSWER_COMPLETE);
    // The next answer, in place of the body.
    CHECK(Answer().feed(head).feed(with_length("2") + "ok").state() == ANSWER_COMPLETE);
    CHECK(Answer().feed(head).feed(with_length("2") + "o").state() == ANSWER_UNFINISHED);
  }
  Answer kept;
  CHECK(kept.asked("HEAD / HTTP/1.1\r\n\r\n").feed(with_length("5")).state() == ANSWER_COMPLETE);
  CHECK(kept.asked("GET / HTTP/1.1\r\n\r\n").feed(with_length("5")).state() == ANSWER_UNFINISHED);
  CHECK(kept.feed("hello").state() == ANSWER_COMPLETE);
  // The first bytes count, not those of the head's other lines or of a body.
  CHECK(kept.asked("HEAD / HTTP/1.1\r\n").asked("Host: x\r\n\r\n").feed(with_length("5")).state() ==
        ANSWER_COMPLETE);
  CHECK(kept.asked("POST / HTTP/1.1\r\n").asked("HEAD of a body").feed(with_length("5")).state() ==
        ANSWER_UNFINISHED);
  CHECK(Answer()
            .asked("HEAD / HTTP/1.1\r\n\r\n")
            .feed("HTTP/1.1 103 Early Hints\r\n\r\n")
            .feed(chunked)
            .state() == ANSWER_COMPLETE);
}

TEST_CASE("answer: a request that has begun to come is owed an answer, from its first byte on") {
  for (const std::string first :
       {"G", "GET /", "HEAD /", "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", "\r\nG"}) {
    CAPTURE(first);
    CHECK(Answer().asked(first).state() == ANSWER_ASKED);
    Answer kept(with_length("2") + "ok");
    CHECK(kept.state() == ANSWER_COMPLETE);
    CHECK(kept.asked(first).state() == ANSWER_ASKED);
    CHECK(kept.feed(with_length("0")).state() == ANSWER_COMPLETE);
  }
  // Behind a body some clients send the end of a line.
  CHECK(Answer().asked("\r\n").state() == ANSWER_COMPLETE);
  // Where the first bytes are too few to tell what it is, those that follow do not tell it either.
  CHECK(Answer().asked("HE").asked("AD / HTTP/1.1\r\n").feed(with_length("5")).state() == ANSWER_DOUBTFUL);
  CHECK(Answer().asked("GET").feed("HTTP/1.1 100 Continue\r\n\r\n").state() == ANSWER_UNFINISHED);
  // What is received in the middle of an answer is no request.
  CHECK(Answer(with_length("5")).asked("body").feed("hello").state() == ANSWER_COMPLETE);
}

TEST_CASE("answer: bytes that come from a file") {
  CHECK(Answer(with_length("100")).skip(99).state() == ANSWER_UNFINISHED);
  CHECK(Answer(with_length("100")).skip(60).skip(40).state() == ANSWER_COMPLETE);
  CHECK(Answer(with_length("100")).skip(101).state() == ANSWER_UNKNOWN);
  CHECK(Answer(chunked + "64\r\n").skip(100).feed("\r\n0\r\n\r\n").state() == ANSWER_COMPLETE);
  CHECK(Answer(ok + "\r\n").skip(100).state() == ANSWER_UNFINISHED);
  CHECK(Answer().skip(100).state() == ANSWER_UNKNOWN);
  CHECK(Answer(ok).skip(0).feed("\r\n").state() == ANSWER_DOUBTFUL);
}

TEST_CASE("answer: whatever the bytes, the pieces make no difference and it comes to an end") {
  std::mt19937 random(12);
  const std::vector<std::string> words{"HTTP/1.1 200 OK\r\n",
                                       "\r\n",
                                       "\n",
                                       "Content-Length: ",
                                       "5",
                                       "0\r\n",
                                       "a",
                                       ";",
                                       "Transfer-Encoding: chunked\r\n",
                                       "5\r\nhello\r\n",
                                       std::string(1, '\0'),
                                       "\xff",
                                       "HTTP/1.",
                                       "content-",
                                       "304 x\r\n"};
  for (int round = 0; round < 50'000; ++round) {
    std::string bytes;
    for (unsigned i = random() % 12; i > 0; --i) bytes += words[random() % words.size()];
    Answer whole(bytes), pieces;
    CAPTURE(bytes);
    // A next answer in place of a body is looked for at the beginning of a piece, so these begin with no
    // other word.
    const std::size_t at = bytes.empty() ? 0 : random() % bytes.size();
    if (bytes.compare(at, 1, "H") == 0) continue;
    pieces.feed(bytes.substr(0, at)).feed(bytes.substr(at));
    REQUIRE(whole.state() == pieces.state());
    REQUIRE(whole.phase == pieces.phase);
    REQUIRE(whole.left == pieces.left);
  }
}
