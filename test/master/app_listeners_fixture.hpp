#pragma once

#include <netinet/in.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "master/app_listeners/app_listeners.hpp"

namespace liveswap::test {

// An address as an application passes it to bind().
struct Where {
  int domain = AF_INET;
  int type = SOCK_STREAM;
  bool v6only = false;
  unsigned umask = 022;
  sockaddr_storage storage{};
  socklen_t size = 0;

  static Where v4(std::uint16_t port, std::uint32_t host = INADDR_LOOPBACK);
  static Where v6(std::uint16_t port, const char* host, bool v6only = false);
  static Where udp(std::uint16_t port);
  static Where path(const std::string& path, int type = SOCK_STREAM);
  static Where abstract(const std::string& name);

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  std::string text() const;  // struct liveswap_bind
};

UniqueFd socket_for(const Where& where);
std::uint64_t cookie(int fd);
std::string cookie_text(int fd);
std::uint16_t port_of(int fd);
// -1 and errno: refused.
UniqueFd connect_to(const Where& where);
// A connection from that listener's accept queue; empty when none comes within 10 s.
UniqueFd accept_from(int listener);
// Whether a connection is there without waiting.
bool has_waiting(int listener);
std::size_t open_descriptors();
// Waits: descriptors are closed in the background, also those of earlier tests.
bool has_no_more_than(std::size_t count);

// AppListeners on real sockets, with workers that are only numbers.
class Fixture {
 public:
  using Rules = master::AppListeners::Rules;
  struct Told {
    rollout::WorkerId worker;
    std::uint32_t kind;
    std::int32_t value;
    std::uint64_t count;
    std::string text;
    UniqueFd descriptor;
    std::shared_ptr<const void> ticket;  // held while the frame is unread
  };
  // What the application has after bind(): its own socket, or the one that replaced it.
  struct Held {
    int error = 0;
    bool given = false;
    UniqueFd fd;
  };

  explicit Fixture(unsigned slots = 2, Rules rules = {}, const std::vector<Listener>& lent = {},
                   ListenMode mode = ListenMode::reuseport);

  master::Listeners& listeners() { return listeners_; }
  master::AppListeners& app_listeners() { return app_listeners_; }

  void join(rollout::WorkerId id, unsigned slot, rollout::Generation generation = 1, bool staged = false,
            pid_t pid = ::getpid());
  // The credentials of its frames from now on; by default the process of join() and this user.
  void speaks_as(rollout::WorkerId id, const master::Sender& sender);
  void leave(rollout::WorkerId id);
  // The engine's view from now on.
  void ready(rollout::WorkerId id);
  void drain(rollout::WorkerId id);

  // Sends a frame; the answer's errno.
  int ask(rollout::WorkerId id, std::uint32_t kind, const std::string& text, std::uint64_t count = 0,
          UniqueFd fd = {}, bool crippled = false);
  // The same, read after the worker's exit.
  int ask_posthumously(rollout::WorkerId id, std::uint32_t kind, const std::string& text, UniqueFd fd = {});
  // Sends a frame that gets no answer.
  void tell(rollout::WorkerId id, std::uint32_t kind, const std::string& text, UniqueFd fd = {});
  Held bind(rollout::WorkerId id, const Where& where);
  int listen(rollout::WorkerId id, const Held& held, int backlog = 512);
  // A successful bind() and listen(), and the first wait.
  UniqueFd serve(rollout::WorkerId id, const Where& where);
  void wait_on(rollout::WorkerId id, int fd);
  // The worker's state if time or a change may have affected it; nullopt: it is not judged.
  std::optional<rollout::AwaitedListeners::Outlook> judge(rollout::WorkerId id);
  void close(rollout::WorkerId id, UniqueFd fd);

  // Lets `ms` pass, and calls AppListeners::look().
  void look(int ms = 0, bool quiet = true);
  // The names of all application listeners in use.
  std::vector<std::string> names() const;

  std::deque<Told> told;
  bool has_room = true;  // workers read their frames

 private:
  int answer_to(rollout::WorkerId id, master::Frame frame);

  master::Listeners listeners_;
  master::AppListeners app_listeners_;
  std::vector<master::AppListeners::Seen> turned_;  // since the last look()
  std::map<rollout::WorkerId, master::Sender> senders_;
  rollout::Time now_{1'000};
  std::int32_t last_number_ = 0;
};

}  // namespace liveswap::test
