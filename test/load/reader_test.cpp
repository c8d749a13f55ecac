#include <doctest/doctest.h>

#include "load/echo_reader.hpp"
#include "load/http_reader.hpp"

using namespace liveswap::load;

namespace {

const std::string good =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\ncontent-length: 5\r\nX-Version: v7\r\n\r\nhello";

Reading read(const std::string& text, HttpReader&& reader = HttpReader()) {
  reader.expect("");
  return reader.feed(text);
}

std::string problem_of(const std::string& text) {
  HttpReader reader;
  reader.expect("");
  CHECK(reader.feed(text) == Reading::bad);
  return reader.problem();
}

std::string with_header(const std::string& header) {
  return "HTTP/1.1 200 OK\r\n" + header + "\r\nContent-Length: 0\r\n\r\n";
}

}  // namespace

TEST_CASE("an answer is the same whatever the pieces it comes in") {
  for (std::size_t piece = 1; piece <= good.size(); ++piece) {
    HttpReader reader;
    reader.expect("");
    Reading reading = Reading::more;
    for (std::size_t at = 0; at < good.size(); at += piece) {
      REQUIRE(reading == Reading::more);
      reading = reader.feed(good.substr(at, piece));
    }
    CHECK(reading == Reading::complete);
    CHECK(reader.answer().status == 200);
    CHECK(reader.answer().version == "v7");
    CHECK(reader.answer().body.start == "hello");
    CHECK(reader.answer().body.length == 5);
    CHECK_FALSE(reader.answer().close);
  }
}

TEST_CASE("every proper start of an answer is incomplete, also at the end of the stream") {
  for (std::size_t size = 0; size < good.size(); ++size) {
    HttpReader reader;
    reader.expect("");
    CHECK(reader.feed(good.substr(0, size)) == Reading::more);
    CHECK(reader.end() == Reading::more);
  }
}

TEST_CASE("a reader says where it is") {
  HttpReader reader;
  reader.expect("");
  CHECK(std::string(reader.place()) == "before any byte of the answer");
  reader.feed("HTTP/1.1 200");
  CHECK(std::string(reader.place()) == "within the headers");
  reader.feed(" OK\r\nContent-Length: 3\r\n\r\nab");
  CHECK(std::string(reader.place()) == "within the body");
}

TEST_CASE("a reader starts afresh for the next answer") {
  HttpReader reader;
  for (int i = 0; i < 3; ++i) {
    reader.expect("");
    CHECK(reader.feed(good) == Reading::complete);
    CHECK(reader.answer().body.length == 5);
  }
}

TEST_CASE("bytes after an answer are nobody's") {
  CHECK(problem_of(good + "x") == "bytes after the answer");
  HttpReader reader;
  reader.expect("");
  CHECK(reader.feed(good) == Reading::complete);
  CHECK(reader.feed("x") == Reading::bad);
}

TEST_CASE("garbage is rejected at its first byte") {
  for (const char* text : {"x", "HTTP/2", "HTTPS", "SSH-2.0-", "\r\nHTTP/1.1 200 OK", "GET / HTTP/1.1"})
    CHECK(problem_of(text) == "not an HTTP/1.x answer");
}

TEST_CASE("malformed heads are rejected") {
  for (const char* line : {"HTTP/1.1 200", "HTTP/1.1 200 OK", "HTTP/1.0 404 "})
    CHECK(read(std::string(line) + "\r\nContent-Length: 0\r\n\r\n") == Reading::complete);
  for (const char* line : {"HTTP/1.2 200 OK", "HTTP/1.1  200", "HTTP/1.1 20x OK", "HTTP/1.1 2000 OK",
                           "HTTP/1.1 20", "HTTP/1.1 100 Continue", "HTTP/1.1", "HTTP/1.1 099 x"})
    CHECK_MESSAGE(read(std::string(line) + "\r\nContent-Length: 0\r\n\r\n") == Reading::bad, line);
  CHECK(problem_of("HTTP/1.1 200 OK\nContent-Length: 0\n\n") == "a line of the headers does not end in CRLF");
  CHECK(problem_of("HTTP/1.1 200 OK\rX") == "a line of the headers does not end in CRLF");
  CHECK(problem_of(std::string("HTTP/1.1 200\0OK", 15)) == "a control character in the headers");
  for (const char* header :
       {" folded", "no colon", ": no name", "bad name: x", "name : x", "Content-Length: 0x5",
        "Content-Length:", "Content-Length: -1", "Content-Length: 1 2", "Content-Length: 7",
        "Content-Length: 99999999999999999999", "Transfer-Encoding: chunked", "Transfer-Encoding: gzip",
        "X-Version:", "X-Version: a b", "X-Version: a\r\nX-Version: b"})
    CHECK_MESSAGE(read(with_header(header)) == Reading::bad, header);
}

TEST_CASE("headers are bounded") {
  const std::string start = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: ";
  const std::size_t room = HttpReader::most_header_bytes - start.size() - 4;
  CHECK(read(start + std::string(room, 'x') + "\r\n\r\n") == Reading::complete);
  CHECK(problem_of(start + std::string(room + 1, 'x') + "\r\n\r\n") == "headers of more than 16 KiB");
  CHECK(problem_of(start + std::string(1'000'000, 'x')) == "headers of more than 16 KiB");
}

namespace {

const std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

}  // namespace

TEST_CASE("a body in chunks is the same whatever the pieces it comes in") {
  const std::string text = chunked + "5\r\nhello\r\n00a;odd=\"1\"\r\n, and more\r\n0\r\nDigest: x\r\n\r\n";
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    HttpReader reader;
    reader.expect("");
    Reading reading = Reading::more;
    for (std::size_t at = 0; at < text.size(); at += piece) {
      REQUIRE(reading == Reading::more);
      CHECK(reader.end() == Reading::more);
      reading = reader.feed(text.substr(at, piece));
    }
    CHECK(reading == Reading::complete);
    CHECK(reader.answer().body.start == "hello, and more");
    CHECK_FALSE(reader.answer().close);
    CHECK(reader.feed("x") == Reading::bad);
    reader.expect("");
    CHECK(reader.feed(good) == Reading::complete);
  }
}

TEST_CASE("chunks that are wrong are rejected") {
  CHECK(read(chunked + "0\r\n\r\n") == Reading::complete);
  for (const char* body : {"x", "\r\n", "-1\r\n", "5 \r\n", "10000000000000000\r\n"})
    CHECK_MESSAGE(read(chunked + body + "\r\n") == Reading::bad, body);
  CHECK(problem_of(chunked + "1\r\nab\r\n") == "a chunk is longer than its size");
  CHECK(problem_of(chunked + "1\n") == "a line between chunks does not end in CRLF");
  CHECK(problem_of(chunked + std::string(1024, '0')) == "a line between chunks does not end in CRLF");
  CHECK(problem_of(chunked + "0\r\n\r\nx") == "bytes after the answer");
  CHECK(problem_of("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n") ==
        "both Content-Length and Transfer-Encoding");
}

TEST_CASE("a body is counted whole but kept only in part") {
  HttpReader reader;
  reader.expect("");
  CHECK(reader.feed("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n") == Reading::more);
  for (int i = 0; i < 99; ++i) CHECK(reader.feed(std::string(10'000, 'x')) == Reading::more);
  CHECK(reader.feed(std::string(10'000, 'y')) == Reading::complete);
  CHECK(reader.answer().body.length == 1'000'000);
  CHECK(reader.answer().body.start.size() == Body::kept);
  const Body with_y = reader.answer().body;
  reader.expect("");
  reader.feed("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + std::string(1'000'000, 'x'));
  CHECK(reader.answer().body != with_y);
}

TEST_CASE("who closes after the answer") {
  const auto closes = [](const std::string& text) {
    HttpReader reader;
    reader.expect("");
    CHECK(reader.feed(text) == Reading::complete);
    return reader.answer().close;
  };
  CHECK(closes(with_header("Connection: close")));
  CHECK(closes(with_header("connection: foo , Close")));
  CHECK_FALSE(closes(with_header("Connection: closed")));
  CHECK_FALSE(closes(with_header("Connection: keep-alive")));
  CHECK(closes("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"));
  CHECK_FALSE(closes("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n"));
}

TEST_CASE("without a length only the end of the stream ends a body, when that is allowed") {
  const std::string text = "HTTP/1.1 200 OK\r\n\r\nhello";
  CHECK(problem_of(text) == "neither Content-Length nor chunks");
  HttpReader reader(true);
  reader.expect("");
  CHECK(reader.feed(text) == Reading::more);
  CHECK(reader.end() == Reading::complete);
  CHECK(reader.answer().body.start == "hello");
  CHECK(reader.answer().close);
  CHECK(read("HTTP/1.1 204 No Content\r\n\r\n") == Reading::complete);
}

TEST_CASE("an echo is exactly the line that was sent") {
  EchoReader reader;
  const auto read_echo = [&](const std::string& text) {
    reader.expect("ping 1\n");
    return reader.feed(text);
  };
  CHECK(read_echo("ping 1\n") == Reading::complete);
  CHECK(read_echo("ping 1") == Reading::more);
  CHECK(reader.feed("\n") == Reading::complete);
  for (const char* text : {"ping 2\n", "pong 1\n", "ping 1\n\n", "ping\n", "\n", "v2 ping 1\n"})
    CHECK_MESSAGE(read_echo(text) == Reading::bad, text);
}

TEST_CASE("an echo server may state its version before the line") {
  EchoReader reader(true);
  const auto read_echo = [&](const std::string& text) {
    reader.expect("ping 1\n");
    return reader.feed(text);
  };
  CHECK(read_echo("v2 ping 1\n") == Reading::complete);
  CHECK(reader.answer().version == "v2");
  for (const char* text : {"ping 1\n", " ping 1\n", "v2ping 1\n", "v 2 ping 1\n", "v2 ping 2\n"})
    CHECK_MESSAGE(read_echo(text) == Reading::bad, text);
  CHECK(read_echo(std::string(100, 'x')) == Reading::bad);
}
