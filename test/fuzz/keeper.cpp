// Fuzzes the frames of liveswap-keeper, in both directions: what a master sends to the keeper, and what comes
// back to the next master. Packets of any size, kind and content, with any number of descriptors.
//
// An input is a sequence of packets: kind, flags, count (2 bytes), value (2), length of the text (2), text.
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <string>
#include <vector>

extern "C" {
#include "keeper/held.h"
#include "keeper/output.h"
}
#include "protocol/keeper.hpp"
#include "target.hpp"

namespace {

using namespace liveswap;
using fuzz::require;

// Flags of a packet: how many descriptors come with it (times 60 beyond 3), which ones, a packet that is too
// short, and whether the keeper waits before it reads.
enum : unsigned { descriptors = 7, output = 1 << 3, runt = 1 << 4, later = 1 << 5, to_master = 1 << 6 };

class Input {
 public:
  explicit Input(std::string_view bytes) : bytes_(bytes) {}
  bool empty() const { return bytes_.empty(); }
  // Missing bytes count as 0.
  template <class T>
  T take() {
    T value{};
    const auto part = text(sizeof value);
    std::memcpy(&value, part.data(), part.size());
    return value;
  }
  std::string_view text(std::size_t size) {
    const auto part = bytes_.substr(0, size);
    bytes_.remove_prefix(part.size());
    return part;
  }

 private:
  std::string_view bytes_;
};

std::size_t open_descriptors() {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  std::size_t count = 0;
  for (int fd = 0; fd < static_cast<int>(std::min<rlim_t>(files.rlim_cur, 4'096)); ++fd)
    count += ::fcntl(fd, F_GETFD) >= 0;
  return count;
}

// The keeper's end is non-blocking, as what does not fit is refused.
struct Link {
  Link() {
    int ends[2];
    require(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0,
            "there is a connection");
    master = UniqueFd::adopt(ends[0]);
    keeper = UniqueFd::adopt(ends[1]);
  }
  UniqueFd master, keeper;
};

class Keeper {
 public:
  Keeper() {
    int ends[2];
    require(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0, "there is a pipe");
    reader_ = UniqueFd::adopt(ends[0]);
    writer_ = UniqueFd::adopt(ends[1]);
    nowhere_ = UniqueFd::adopt(::open("/dev/null", O_RDWR | O_CLOEXEC));
  }

  void take(Input& input) {
    const auto kind = input.take<std::uint8_t>();
    const unsigned flags = input.take<std::uint8_t>();
    const auto count = input.take<std::uint16_t>();
    const auto value = input.take<std::int16_t>();
    const auto text = input.text(input.take<std::uint16_t>());
    send({kind, count, value}, flags, text);
    if (!(flags & later)) read();
  }

  // What is held comes to the next master as it was sent.
  void finish() {
    read();
    check_held();
    pass_on_output();
    forget();
  }

 private:
  void send(liveswap_keeper_frame frame, unsigned flags, std::string_view text) {
    const unsigned few = flags & descriptors;
    const std::size_t number = few <= 3 ? few : (few - 3) * std::size_t{60};
    const std::vector<int> fds(number, flags & output ? reader_.get() : nowhere_.get());
    const int to = flags & to_master ? link_.keeper.get() : link_.master.get();
    if (flags & runt) {
      // An empty packet would look like the end of the connection.
      ::send(to, &frame, 1 + text.size() % (sizeof frame - 1), MSG_NOSIGNAL | MSG_DONTWAIT);
      return;
    }
    protocol::send_to_keeper(to, frame, std::string(text), fds.data(), fds.size());
  }

  // As serve_master() of the keeper, and the master's own side.
  void read() {
    static packet packet;
    while (link_receive(link_.keeper.get(), &packet) == RECEIVED) {
      require(packet.size <= LIVESWAP_KEEPER_TEXT_MAX, "a text is bounded");
      require(packet.fd_count <= LIVESWAP_KEEPER_DESCRIPTORS_MAX, "descriptors are bounded");
      const auto kind = packet.frame.kind;
      if (kind == LIVESWAP_KEEPER_DESCRIPTORS || kind == LIVESWAP_KEEPER_STATE) {
        const auto before = held_any();
        const bool is_taken = held_take(&packet);
        require(is_taken || kind == LIVESWAP_KEEPER_STATE, "only a state is refused");
        require(held_any() == (before || (is_taken && kind == LIVESWAP_KEEPER_STATE)),
                "a state is in force when it was taken, and stays");
        continue;
      }
      for (std::size_t i = 0; i < packet.fd_count; ++i) ::close(packet.fds[i]);
    }
    bool gone = false;
    while (protocol::receive_from_keeper(link_.master.get(), false, gone)) continue;
    require(!gone, "the connection lives");
  }

  static void check_held() {
    const Link link;
    std::size_t received = 0;
    bool has_state = false;
    if (!held_send(link.keeper.get(), true, 7)) return;  // more than the socket's buffer takes
    for (;;) {
      bool gone = false;
      const auto frame = protocol::receive_from_keeper(link.master.get(), false, gone);
      if (!frame) break;
      if (frame->cut) return;
      if (frame->head.kind == LIVESWAP_KEEPER_DESCRIPTORS) received += frame->descriptors.size();
      if (frame->head.kind != LIVESWAP_KEEPER_STATE) continue;
      has_state = true;
      require(frame->head.count == received, "a state says how many descriptors it has");
      require(frame->head.value == 7, "the time that is left comes along");
      require((frame->descriptors.size() == 1) == held_any(), "a state has its file");
    }
    require(has_state, "the end is a state");
  }

  void pass_on_output() {
    pollfd polls[64];
    int pause_ms = -1;
    const ssize_t written = ::write(writer_.get(), "x", 1);
    require(written == 1 || errno == EAGAIN, "a pipe takes a byte");
    const auto count = output_polls(polls, std::size(polls), &pause_ms);
    const held_output* outputs = nullptr;
    require(count <= held_outputs(&outputs), "no more readers than outputs");
    for (std::size_t i = 0; i < held_outputs(&outputs); ++i)
      require(::fcntl(outputs[i].reader, F_GETFD) >= 0 && ::fcntl(outputs[i].target, F_GETFD) >= 0,
              "the descriptors of an output are open");
    if (count > 0 && ::poll(polls, count, 0) > 0) output_pass_on(polls, count);
    char byte = 0;
    while (::read(reader_.get(), &byte, 1) == 1) continue;
  }

  // The next input begins with an empty state, of one file.
  void forget() {
    held_drop_incomplete();
    const int file = ::memfd_create("state", MFD_CLOEXEC);
    static packet packet;
    packet = {};
    packet.frame = {LIVESWAP_KEEPER_STATE, 0, 0};
    packet.fds[0] = file;
    packet.fd_count = 1;
    require(held_take(&packet), "an empty state is taken");
  }

  Link link_;
  UniqueFd reader_, writer_, nowhere_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static std::size_t before = 0;
  {
    Keeper keeper;
    for (Input input(fuzz::text_of(data, size)); !input.empty();) keeper.take(input);
    keeper.finish();
  }
  const auto now = open_descriptors();
  require(before == 0 || now == before, "every descriptor is closed or held");
  before = now;
  return 0;
}
