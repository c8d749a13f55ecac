#include "master/workers/output.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app_listeners_fixture.hpp"

using namespace liveswap;
using namespace liveswap::master;
using liveswap::test::has_no_more_than, liveswap::test::open_descriptors;

namespace {

struct Pipe {
  Pipe() {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    reader = UniqueFd::adopt(ends[0]);
    writer = UniqueFd::adopt(ends[1]);
    ::fcntl(reader.get(), F_SETFL, O_NONBLOCK);
  }
  std::string read() const {
    std::string all;
    char bytes[4096];
    for (ssize_t size; (size = ::read(reader.get(), bytes, sizeof bytes)) > 0;)
      all.append(bytes, static_cast<std::size_t>(size));
    return all;
  }
  UniqueFd reader, writer;
};

// An output, and the child's ends of its pipes.
class Talker {
 public:
  Talker(int out, int err) {
    REQUIRE(uv_loop_init(&loop_) == 0);
    spawn::Request request;
    request.descriptors = {-1, out, err};
    auto opened = Output::open(loop_, request);
    REQUIRE(opened.has_value());
    output = std::move(*opened);
    shared = request.descriptors[1] == request.descriptors[2];
    for (const int number : {1, 2})
      if (request.descriptors[number] >= 0)
        ends[number] = UniqueFd::adopt(::fcntl(request.descriptors[number], F_DUPFD_CLOEXEC, 0));
    output->started();
  }
  Talker(const Talker&) = delete;
  ~Talker() {
    output.reset();
    uv_run(&loop_, UV_RUN_DEFAULT);
    CHECK(uv_loop_close(&loop_) == 0);
  }
  // False: the pipe has no room for all bytes.
  bool write(int number, const std::string& bytes) const {
    std::size_t done = 0;
    while (done < bytes.size()) {
      pollfd room{ends[number].get(), POLLOUT, 0};
      if (::poll(&room, 1, 0) != 1) return false;
      const ssize_t size =
          ::write(ends[number].get(), bytes.data() + done, std::min<std::size_t>(bytes.size() - done, 1024));
      done += static_cast<std::size_t>(std::max<ssize_t>(size, 0));
    }
    return true;
  }
  void turn() { uv_run(&loop_, UV_RUN_NOWAIT); }
  template <class Condition>
  bool until(Condition condition) {
    for (int i = 0; i < 5'000 && !condition(); ++i) {
      turn();
      ::poll(nullptr, 0, 1);
    }
    return condition();
  }

  std::unique_ptr<Output> output;
  UniqueFd ends[3];
  bool shared = false;

 private:
  uv_loop_t loop_{};
};

}  // namespace

TEST_CASE("output: what goes to one place is one pipe, what goes to two is two, what goes nowhere none") {
  const Pipe out, err;
  CHECK(Talker(out.writer.get(), out.writer.get()).shared);
  CHECK_FALSE(Talker(out.writer.get(), err.writer.get()).shared);
  const Talker quiet(-1, err.writer.get());
  CHECK_FALSE(quiet.ends[1]);
  CHECK(quiet.ends[2]);
}

TEST_CASE("output: it is passed on, and its end is kept") {
  const Pipe out, err;
  Talker child(out.writer.get(), err.writer.get());
  REQUIRE(child.write(1, "one\n"));
  child.output->add_line("logged");
  REQUIRE(child.write(2, "two\n"));
  std::string to_out, to_err;
  CHECK(child.until([&] { return (to_out += out.read()) == "one\n" && (to_err += err.read()) == "two\n"; }));
  CHECK(child.output->last() == "one\nlogged\ntwo");
  REQUIRE(child.write(1, "of one"));
  CHECK(child.until([&] { return (to_out += out.read()) == "one\nof one"; }));
  REQUIRE(child.write(2, "of the other"));
  child.output->catch_up();
  CHECK(child.output->last() == "one\nlogged\ntwo\nof one\nof the other");
}

TEST_CASE("output: the end of one stream is kept whatever the other one writes after it") {
  const Pipe out, err;
  Talker child(out.writer.get(), err.writer.get());
  REQUIRE(child.write(1, "one\ntwo\nthree\nfour\nfive\nlast words\n"));
  std::string to_out, to_err;
  CHECK(child.until([&] { return (to_out += out.read()).ends_with("last words\n"); }));
  REQUIRE(child.write(2, std::string(4096, 'x') + "\n"));
  CHECK(child.until([&] { return (to_err += err.read()).ends_with("x\n"); }));
  CHECK(child.output->last().starts_with("two\nthree\nfour\nfive\nlast words\n...x"));
}

TEST_CASE("output: of a child that has ended the rest is read at once") {
  const Pipe out;
  Talker child(out.writer.get(), out.writer.get());
  REQUIRE(child.write(1, "last words\n"));
  for (auto& end : child.ends) end.reset();
  child.output->catch_up();
  CHECK(child.output->last() == "last words");
  CHECK(child.output->ended());
}

TEST_CASE("output: the child's end is a pipe that has a reader for ever, and can be opened anew") {
  const Pipe out;
  Talker child(out.writer.get(), out.writer.get());
  const auto path = "/proc/self/fd/" + std::to_string(child.ends[1].get());
  CHECK(UniqueFd::adopt(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC)));
  CHECK((::fcntl(child.ends[1].get(), F_GETFL) & O_NONBLOCK) == 0);
  child.output.reset();
  CHECK(::write(child.ends[1].get(), "x", 1) == 1);  // without a reader: EPIPE, and a SIGPIPE
}

TEST_CASE("output: where nothing is taken the child waits, memory is bounded, and all of it arrives later") {
  const Pipe out;
  Talker child(out.writer.get(), out.writer.get());
  const std::string line = std::string(1023, 'x') + "\n";
  std::size_t written = 0;
  for (int i = 0; i < 2'000; ++i) {
    if (child.write(1, line)) written += line.size();
    child.turn();
  }
  // At most two full pipes, and the bytes in the master.
  CHECK(written < 4 * 64 * 1024);
  std::string read;
  CHECK(child.until([&] { return (read += out.read()).size() == written; }));
  CHECK(read.find(std::string(1024, 'x')) == std::string::npos);  // no line was torn
  CHECK(child.write(1, line));
  CHECK(child.until([&] { return (read += out.read()).size() == written + line.size(); }));
}

TEST_CASE("output: beyond a limit it is read and counted, the child does not wait, and its end is kept") {
  const Pipe out;
  Talker child(out.writer.get(), out.writer.get());
  child.output->limit(10);
  std::string read;
  std::size_t written = 0;
  for (int i = 0; i < 500; ++i) {
    const std::string line = std::to_string(i) + std::string(1'000, 'x') + "\n";
    bool done = false;
    CHECK(child.until([&] { return done = done || child.write(1, line); }));
    written += line.size();
    read += out.read();
  }
  CHECK(child.until([&] { return child.output->left_out() > written - 64 * 1024; }));
  REQUIRE(child.write(1, "last words\n"));
  written += 11;
  CHECK(child.until([&] { return child.output->last().ends_with("last words"); }));
  CHECK(child.output->left_out() == written - 10);
  CHECK((read += out.read()) == "0xxxxxxxxx\n");  // the line ends before those of other writers follow
}

TEST_CASE("output: a place whose reader has gone takes everything") {
  Pipe out;
  out.reader.reset();
  Talker child(out.writer.get(), out.writer.get());
  const auto before = ::signal(SIGPIPE, SIG_IGN);
  bool all = true;
  for (int i = 0; i < 1'000; ++i) {
    all = all && child.write(1, std::string(1'000, 'x') + "\n");
    child.turn();
  }
  CHECK(all);
  ::signal(SIGPIPE, before);
}

TEST_CASE("output: its end is told, and nothing stays open") {
  const Pipe out, err;
  const auto before = open_descriptors();
  {
    Talker child(out.writer.get(), err.writer.get());
    bool ended = false;
    child.output->on_end([&] {
      ended = true;
      child.output.reset();
    });
    child.ends[1].reset();
    child.turn();
    CHECK_FALSE(ended);
    child.ends[2].reset();
    CHECK(child.until([&] { return ended; }));
  }
  CHECK(has_no_more_than(before));
}
