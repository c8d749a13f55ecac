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

// An address as an application gives it to bind().
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
// Open descriptors; some are closed in the background, those of a test before as well.
bool has_no_more_than(std::size_t count);

// The master's side of takeover on real sockets, with workers that are only numbers.
class Desk {
 public:
  using Rules = master::AppListeners::Rules;
  struct Told {
    rollout::WorkerId worker;
    std::uint32_t kind;
    std::int32_t value;
    std::uint64_t count;
    std::string text;
    UniqueFd descriptor;
    std::shared_ptr<const void> ticket;  // held as long as it waits to be read
  };
  // What bind() leaves with the application: its own socket, or the one that took its place.
  struct Held {
    int error = 0;
    bool given = false;
    UniqueFd fd;
  };

  explicit Desk(unsigned slots = 2, Rules rules = {}, const std::vector<Listener>& lent = {},
                ListenMode mode = ListenMode::reuseport);

  master::Listeners& listeners() { return listeners_; }
  master::AppListeners& takeover() { return app_listeners_; }

  void join(rollout::WorkerId id, unsigned slot, rollout::Generation generation = 1, bool staged = false,
            pid_t pid = ::getpid());
  // Who the kernel says has sent its frames from now on; else the process that has joined, as our user.
  void speaks_as(rollout::WorkerId id, const master::Sender& sender);
  void leave(rollout::WorkerId id);
  // What the engine says of it from now on.
  void ready(rollout::WorkerId id);
  void drain(rollout::WorkerId id);

  // The errno that the worker is answered with.
  int ask(rollout::WorkerId id, std::uint32_t kind, const std::string& text, std::uint64_t count = 0,
          UniqueFd fd = {}, bool crippled = false);
  // Read when it had exited.
  int ask_posthumously(rollout::WorkerId id, std::uint32_t kind, const std::string& text, UniqueFd fd = {});
  // Without a number, so without an answer.
  void tell(rollout::WorkerId id, std::uint32_t kind, const std::string& text, UniqueFd fd = {});
  Held bind(rollout::WorkerId id, const Where& where);
  int listen(rollout::WorkerId id, const Held& held, int backlog = 512);
  // bind() and listen(), which succeed, and the first wait.
  UniqueFd serve(rollout::WorkerId id, const Where& where);
  void wait_on(rollout::WorkerId id, int fd);
  // How the worker stands, when nothing but time has passed or something has changed; nothing: it is not
  // judged.
  std::optional<rollout::AwaitedListeners::Outlook> judge(rollout::WorkerId id);
  void close(rollout::WorkerId id, UniqueFd fd);

  // Lets so much time pass, and the master look at what follows.
  void look(int ms = 0, bool quiet = true);
  // "name" of every listener of applications that somebody serves.
  std::vector<std::string> names() const;

  std::deque<Told> told;
  bool has_room = true;  // workers read what they are sent

 private:
  int answer_to(rollout::WorkerId id, master::Frame frame);

  master::Listeners listeners_;
  master::AppListeners app_listeners_;
  std::vector<master::AppListeners::Seen> seen_;
  std::map<rollout::WorkerId, master::Sender> senders_;
  rollout::Time now_{1'000};
  std::int32_t last_number_ = 0;
};

}  // namespace liveswap::test
