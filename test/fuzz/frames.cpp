// Fuzzes what a worker sends on its channel: packets of any size, kind and content, with any descriptors,
// through the loop, WorkerProcess, WorkerPool and AppListeners of a master. This process acts as the worker;
// each input starts a new one.
//
// An input is a sequence of packets: kind, flags, value (2 bytes), count (8), length of the text (2), text.
// Kinds below 64 are actions of the master between packets.
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "master/workers/worker_pool.hpp"
#include "target.hpp"

namespace {

using namespace liveswap;
using namespace liveswap::master;
using fuzz::require;

constexpr rollout::WorkerId id = 1;
constexpr std::size_t most_descriptors = 3;

// Flags of a packet.
enum : unsigned {
  descriptors = 3,
  kinds_of_descriptor = 7 << 2,
  runt = 1 << 5,
  cookie = 1 << 6,
  later = 1 << 7
};

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

UniqueFd descriptor_of(unsigned kind) {
  switch (kind) {
    case 0: return UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    case 1: return UniqueFd::adopt(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    case 2: return UniqueFd::adopt(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    case 3: return UniqueFd::adopt(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    case 4: return UniqueFd::adopt(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    case 5: return UniqueFd::adopt(::eventfd(0, EFD_CLOEXEC));
    case 6:
      return UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
    default: return UniqueFd::adopt(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  }
}

// Enters a network namespace, if allowed, so that binding takes no address from another program.
void leave_network() {
  if (::unshare(CLONE_NEWNET) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return;
  const auto fd = UniqueFd::adopt(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq loopback{};
  std::strcpy(loopback.ifr_name, "lo");
  loopback.ifr_flags = IFF_UP;
  ::ioctl(fd.get(), SIOCSIFFLAGS, &loopback);
}

uv_loop_t& loop() {
  static uv_loop_t* const made = [] {
    leave_network();
    require(log::open_file("/dev/null").has_value(), "the log is open");
    static uv_loop_t one;
    require(uv_loop_init(&one) == 0, "there is a loop");
    return &one;
  }();
  return *made;
}

class Master {
 public:
  Master()
      : listeners_(std::move(*Listeners::open({}, ListenMode::reuseport, 64, 1))),
        app_listeners_(listeners_, rules(), send()),
        pool_(loop(), base(), listeners_, app_listeners_, handlers()) {
    pool_.spawn({id, 0, 1, {"/app.so", std::string(64, 'a')}, false});
    require(static_cast<bool>(theirs_), "the worker has its channel");
  }

  void take(Input& input) {
    const auto kind = input.take<std::uint8_t>();
    const unsigned flags = input.take<std::uint8_t>();
    const auto value = input.take<std::int16_t>();
    const auto count = input.take<std::uint64_t>();
    const auto text = input.text(input.take<std::uint16_t>());
    if (kind < LIVESWAP_STAGED) act(kind, value);
    if (kind >= LIVESWAP_STAGED) send_packet({kind, value, count}, flags, text);
    if (!(flags & later)) run();
  }

  void finish() {
    run();
    check();
  }

 private:
  static AppListeners::Rules rules() {
    AppListeners::Rules rules;
    rules.identity = spawn::Identity{::geteuid(), ::getegid(), {}};
    rules.handed_off_limit = 8;
    return rules;
  }
  AppListeners::Send send() {
    return [this](rollout::WorkerId worker, std::uint32_t kind, std::int32_t value, const Extras& extras) {
      return pool_.tell(worker, kind, value, extras);
    };
  }
  WorkerPool::Template base() {
    WorkerPool::Template base;
    base.file_of = [](const rollout::Release& release) { return release.path; };
    base.life = [] { return UniqueFd(); };
    base.start = [this](uv_loop_t& on, spawn::Request request, WorkerProcess::Handlers handlers) {
      return start(on, std::move(request), std::move(handlers));
    };
    return base;
  }
  WorkerPool::Handlers handlers() {
    return {[](auto, bool) {},
            [](auto) {},
            [this](auto) { ready_ = true; },
            [](auto, const std::string&) {},
            [](auto, const auto&) {},
            [](auto, auto, auto) {},
            [](auto, auto) {}};
  }
  // Stands in for the pidfd of a process that never ends: a descriptor that is never readable.
  Result<std::unique_ptr<WorkerProcess>> start(uv_loop_t& on, spawn::Request request,
                                               WorkerProcess::Handlers handlers) {
    int ends[2];
    require(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0, "there is a channel");
    auto ours = UniqueFd::adopt(ends[0]);
    theirs_ = UniqueFd::adopt(ends[1]);
    const int yes = 1;
    ::setsockopt(ours.get(), SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes);
    auto output = Output::open(on, request);
    spawn::Child child;
    child.pidfd = UniqueFd::adopt(::eventfd(0, EFD_CLOEXEC));
    return WorkerProcess::watch(on, std::move(child), std::move(ours), std::move(*output),
                                std::move(handlers));
  }

  void act(unsigned what, int value) {
    switch (what % 6) {
      case 0: draining_ = true; return pool_.drain(id, rollout::Time{value}, value % 2 == 0);
      case 1: return pool_.revoke(id);
      case 2: pool_.send_message(id, 1 + std::abs(value), "message"); return;
      case 3: return pool_.count_connections(id, 1 + std::abs(value));
      case 4: now_ += rollout::Time{std::abs(value)}; break;
      case 5: app_listeners_.judge(now_); break;
    }
    app_listeners_.look(now_, turned(), !draining_);
  }

  void send_packet(const liveswap_frame& header, unsigned flags, std::string_view text) {
    std::string packet(reinterpret_cast<const char*>(&header), sizeof header);
    packet += text;
    // The socket that the worker received or sent last.
    if (flags & cookie)
      packet.replace(sizeof header, std::min(text.size(), sizeof cookie_),
                     reinterpret_cast<const char*>(&cookie_), sizeof cookie_);
    if (flags & runt) packet.resize(std::min<std::size_t>(packet.size(), text.size() % sizeof header));
    iovec bytes{packet.data(), packet.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(most_descriptors * sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    std::vector<UniqueFd> sent;
    for (unsigned i = 0; i < (flags & descriptors); ++i)
      sent.push_back(descriptor_of((flags & kinds_of_descriptor) >> 2));
    if (!sent.empty()) {
      message.msg_control = control;
      message.msg_controllen = CMSG_SPACE(sent.size() * sizeof(int));
      cmsghdr* rights = CMSG_FIRSTHDR(&message);
      rights->cmsg_level = SOL_SOCKET;
      rights->cmsg_type = SCM_RIGHTS;
      rights->cmsg_len = CMSG_LEN(sent.size() * sizeof(int));
      for (std::size_t i = 0; i < sent.size(); ++i) {
        const int fd = sent[i].get();
        std::memcpy(CMSG_DATA(rights) + i * sizeof fd, &fd, sizeof fd);
      }
      if (header.kind == LIVESWAP_BIND) cookie_ = cookie_of(sent.front().get());
    }
    ::sendmsg(theirs_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  }

  // The worker, if its state is another one than at the last call.
  std::vector<master::AppListeners::Seen> turned() {
    const std::pair now{ready_, draining_};
    if (std::exchange(told_, now) == now) return {};
    return {{id, ready_, draining_}};
  }

  void run() {
    uv_run(&loop(), UV_RUN_NOWAIT);
    app_listeners_.look(now_, turned(), !draining_);
    while (read_answer()) continue;
  }

  bool read_answer() {
    char text[512];
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    iovec bytes{text, sizeof text};
    msghdr message{};
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t size = ::recvmsg(theirs_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (size <= 0) return false;
    require(static_cast<std::size_t>(size) >= sizeof(liveswap_frame), "the master sends whole frames");
    if (const cmsghdr* rights = CMSG_FIRSTHDR(&message); rights && rights->cmsg_type == SCM_RIGHTS) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(rights), sizeof fd);
      cookie_ = cookie_of(UniqueFd::adopt(fd).get());
    }
    return true;
  }

  void check() const {
    const auto served = pool_.find(id).served;
    require(served.failed <= served.requests, "no more requests failed than there were");
    require(listeners_.app_endpoints().size() <= LIVESWAP_LISTENERS_MAX,
            "listeners of applications are bounded");
  }

  UniqueFd theirs_;
  std::uint64_t cookie_ = 0;
  bool ready_ = false, draining_ = false;
  std::pair<bool, bool> told_;
  rollout::Time now_{1'000};
  Listeners listeners_;
  AppListeners app_listeners_;
  WorkerPool pool_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  loop();
  {
    Master master;
    for (Input input(fuzz::text_of(data, size)); !input.empty();) master.take(input);
    master.finish();
  }
  uv_run(&loop(), UV_RUN_NOWAIT);  // handles that were closed
  return 0;
}
