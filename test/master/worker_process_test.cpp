// The master's end of a worker's channel, with a worker that sends arbitrary bytes.
#include "master/workers/worker_process.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <vector>

#include "app_listeners_fixture.hpp"
#include "master/uv/loop.hpp"

using namespace liveswap;
using namespace liveswap::master;
using liveswap::test::has_no_more_than, liveswap::test::open_descriptors;

namespace {

// A process that does nothing; the test holds its end of the channel.
class Worker {
 public:
  struct Heard {
    std::uint32_t kind;
    std::size_t size;
    bool has_descriptor, crippled;
    Sender sender;
    bool is_in_channel;  // another master could still read it
  };

  Worker() {
    REQUIRE(uv_loop_init(&loop_) == 0);
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    // The child sends its channel over the socket at descriptor 4.
    const auto theirs = UniqueFd::adopt(ends[1]);
    const auto ours = UniqueFd::adopt(ends[0]);
    spawn::Request request;
    request.program = CHANNEL_LENDER;
    request.arguments = {"channel_lender"};
    request.descriptors = {-1, -1, 2, -1, theirs.get()};
    auto started = WorkerProcess::start(
        loop_, std::move(request),
        {[this](Frame& frame) {
           heard.push_back({frame.kind, frame.text.size(), static_cast<bool>(frame.descriptor),
                            frame.crippled, frame.sender, waits_in_channel()});
         },
         [this](const Ending&) { ended = true; }});
    REQUIRE(started.has_value());
    process_ = std::move(*started);
    char byte = 0;
    iovec part{&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    REQUIRE(::recvmsg(ours.get(), &message, MSG_CMSG_CLOEXEC) == 1);
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    channel_ = UniqueFd::adopt(fd);
  }
  Worker(const Worker&) = delete;
  ~Worker() {
    process_.reset();
    uv_run(&loop_, UV_RUN_DEFAULT);
    CHECK(uv_loop_close(&loop_) == 0);
  }

  bool waits_in_channel() const {
    int bytes = 0;
    REQUIRE(::ioctl(channel(), SIOCOUTQ, &bytes) == 0);
    return bytes > 0;
  }
  WorkerProcess& process() { return *process_; }
  int channel() const { return channel_.get(); }

  bool send(const std::string& packet, const std::vector<int>& descriptors = {}) {
    iovec part{const_cast<char*>(packet.data()), packet.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    std::vector<char> control(CMSG_SPACE(descriptors.size() * sizeof(int)));
    if (!descriptors.empty()) {
      message.msg_control = control.data();
      message.msg_controllen = control.size();
      cmsghdr* rights = CMSG_FIRSTHDR(&message);
      rights->cmsg_level = SOL_SOCKET;
      rights->cmsg_type = SCM_RIGHTS;
      rights->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
      std::memcpy(CMSG_DATA(rights), descriptors.data(), descriptors.size() * sizeof(int));
    }
    return ::sendmsg(channel(), &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
  }
  void turn() { uv_run(&loop_, UV_RUN_NOWAIT); }
  // Runs the loop until `count` frames have come or the process has exited.
  void hear(std::size_t count) {
    while (heard.size() < count && !ended) uv_run(&loop_, UV_RUN_ONCE);
  }

  std::vector<Heard> heard;
  bool ended = false;

 private:
  uv_loop_t loop_{};
  std::unique_ptr<WorkerProcess> process_;
  UniqueFd channel_;
};

std::string packet(std::uint32_t kind, const std::string& text = "") {
  const liveswap_frame frame{kind, 1, 0};
  return std::string(reinterpret_cast<const char*>(&frame), sizeof frame) + text;
}

}  // namespace

TEST_CASE("channel: descriptors that nobody asked for are closed, however many") {
  const auto null = UniqueFd::adopt(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  Worker worker;
  worker.turn();
  const auto before = open_descriptors();
  std::size_t sent = 0;
  for (const std::size_t count : {0u, 1u, 2u, 3u, 16u, 253u})
    REQUIRE((++sent, worker.send(packet(LIVESWAP_LOG), std::vector<int>(count, null.get()))));
  REQUIRE(worker.send("short", {null.get()}));
  REQUIRE((++sent, worker.send(packet(4711), {null.get()})));
  for (const std::size_t count : {0u, 1u, 2u, 253u})
    REQUIRE((++sent, worker.send(packet(LIVESWAP_HANDOFF), std::vector<int>(count, null.get()))));
  worker.hear(sent);
  REQUIRE(worker.heard.size() == sent);
  CHECK_FALSE(worker.heard[0].has_descriptor);
  CHECK_FALSE(worker.heard[0].crippled);
  CHECK(worker.heard[1].has_descriptor);
  for (std::size_t i = 2; i < 6; ++i) {
    CHECK_FALSE(worker.heard[i].has_descriptor);
    CHECK(worker.heard[i].crippled);
  }
  CHECK(has_no_more_than(before));
}

TEST_CASE("channel: a frame is as long as the longest text, and no longer") {
  Worker worker;
  const int room = 4 * LIVESWAP_TEXT_MAX;
  ::setsockopt(worker.channel(), SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  REQUIRE(worker.send(packet(LIVESWAP_LOG, std::string(LIVESWAP_TEXT_MAX, 'x'))));
  REQUIRE(worker.send(packet(LIVESWAP_LOG, std::string(LIVESWAP_TEXT_MAX + 1000, 'x'))));
  worker.hear(2);
  REQUIRE(worker.heard.size() == 2);
  CHECK(worker.heard[0].size == LIVESWAP_TEXT_MAX);
  CHECK(worker.heard[1].size == LIVESWAP_TEXT_MAX);
}

TEST_CASE("channel: a worker that reads nothing is kept a bounded number of connections for") {
  const auto null = UniqueFd::adopt(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  Worker worker;
  const auto before = open_descriptors();
  Extras extras;
  extras.descriptor = null.get();
  int sent = 0;
  while (sent < 100'000 && worker.process().send_bounded(LIVESWAP_ADOPT, 0, extras)) ++sent;
  CHECK(sent < 5'000);
  CHECK(open_descriptors() - before < 2'000);
  // Answers are still queued.
  worker.process().send(LIVESWAP_ANSWER, 1);
  // All frames arrive as soon as the worker reads.
  int received = 0;
  char buffer[256];
  const auto read_all = [&] {
    for (ssize_t size; (size = ::recv(worker.channel(), buffer, sizeof buffer, MSG_DONTWAIT)) > 0;)
      ++received;
  };
  for (int i = 0; i < 100'000 && received < sent + 1; ++i) {
    read_all();
    worker.turn();
  }
  CHECK(received == sent + 1);
  CHECK(has_no_more_than(before));
}

// Whoever kills the master meanwhile leaves the connection to the next master.
TEST_CASE("channel: a connection stays there until it has been passed on, other frames do not") {
  const auto connection = UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  Worker worker;
  worker.turn();
  const auto before = open_descriptors();
  const std::uint32_t frames[] = {LIVESWAP_LOG, LIVESWAP_HANDOFF, LIVESWAP_READY, LIVESWAP_BIND};
  for (std::size_t i = 0; i < std::size(frames); ++i) {
    REQUIRE(worker.send(packet(frames[i]), {connection.get()}));
    worker.hear(i + 1);
    REQUIRE(worker.heard.size() == i + 1);
    CHECK(worker.heard[i].kind == frames[i]);
    CHECK(worker.heard[i].has_descriptor);
    CHECK(worker.heard[i].is_in_channel == (frames[i] == LIVESWAP_HANDOFF));
    CHECK_FALSE(worker.waits_in_channel());
  }
  worker.turn();
  CHECK(worker.heard.size() == std::size(frames));
  CHECK(has_no_more_than(before));
}

TEST_CASE("channel: one that rests is listened to later") {
  Worker worker;
  worker.process().rest();
  REQUIRE(worker.send(packet(LIVESWAP_LOG)));
  worker.hear(1);
  CHECK(worker.heard.size() == 1);
}

TEST_CASE("channel: who has sent a frame is known, whoever has the channel") {
  Worker worker;
  REQUIRE(worker.send(packet(LIVESWAP_LOG)));
  const pid_t child = ::fork();
  if (child == 0) {
    if (::geteuid() == 0 && ::setresuid(65534, 65534, 65534) != 0) ::_exit(1);
    ::_exit(::send(worker.channel(), packet(LIVESWAP_LOG).data(), sizeof(liveswap_frame), 0) > 0 ? 0 : 1);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
  worker.hear(2);
  REQUIRE(worker.heard.size() == 2);
  CHECK(worker.heard[0].sender.pid == ::getpid());
  CHECK(worker.heard[0].sender.user == ::getuid());
  CHECK(worker.heard[1].sender.pid == child);
  CHECK(worker.heard[1].sender.user == (::getuid() == 0 ? 65534 : ::getuid()));
}

TEST_CASE("channel: a packet without a byte is no end, and its descriptor is closed") {
  const auto null = UniqueFd::adopt(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  Worker worker;
  worker.turn();
  const auto before = open_descriptors();
  REQUIRE(worker.send("", {null.get()}));
  REQUIRE(worker.send(packet(LIVESWAP_LOG)));
  worker.hear(1);
  CHECK(worker.heard.size() == 1);
  CHECK(has_no_more_than(before));
}

TEST_CASE("channel: descriptors that nobody has read go with it") {
  const auto null = UniqueFd::adopt(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const auto before = open_descriptors();
  {
    Worker worker;
    for (int i = 0; i < 20; ++i) REQUIRE(worker.send(packet(LIVESWAP_LOG), {null.get(), null.get()}));
  }
  CHECK(has_no_more_than(before));
}

TEST_CASE("a stop by a signal is reported once, and so is the continuation") {
  Worker worker;
  const pid_t pid = worker.process().pid();
  CHECK(worker.process().take_stop() == std::nullopt);
  const auto next = [&] {
    std::optional<bool> found;
    for (int i = 0; i < 5'000 && !(found = worker.process().take_stop()); ++i) ::poll(nullptr, 0, 1);
    return found;
  };
  for (int i = 0; i < 2; ++i) {
    REQUIRE(::kill(pid, SIGSTOP) == 0);
    CHECK(next() == std::optional(true));
    CHECK(worker.process().take_stop() == std::nullopt);
    REQUIRE(::kill(pid, SIGCONT) == 0);
    CHECK(next() == std::optional(false));
    CHECK(worker.process().take_stop() == std::nullopt);
  }
  CHECK_FALSE(worker.ended);
}
