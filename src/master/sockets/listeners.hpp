#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "liveswap.hpp"
#include "master/app_listeners/app_endpoint.hpp"
#include "master/sockets/endpoint.hpp"
#include "master/sockets/lending.hpp"
#include "master/sockets/passed_listeners.hpp"
#include "master/sockets/pending_handshakes.hpp"
#include "master/workers/left_behind.hpp"

namespace liveswap::master {

// The listening sockets: bound once, kept for the master's life, inherited by workers.
//
// In reuseport mode a TCP listener has a socket for each slot, among which the kernel distributes new
// connections. A slot that will be removed, or is not served, gets no new ones (reuseport_group.hpp).
// Connections already in the accept queue stay there: waiting().
//
// Flip. Two releases that must not serve side by side cannot share sockets. So stage() makes a second set
// at the same addresses; of_slot(slot, true) returns its sockets. They get no connection until flip() makes
// the set the live one at one moment. The former set still has queued connections; their workers accept
// until waiting_in_old() is 0, and may then drain:
//
//     stage() → spawn successors, each with hold(true) → all ready → flip() → waiting_in_old() == 0 → drain
//
// A flip closes no socket. A set without holders is reused, so there are at most as many sets as living
// generations.
//
// Change. A reload may add and remove listeners and change their mode, while workers of two configurations
// serve side by side (listeners_change.cpp):
//
//     prepare() → take_up() → spawn successors with the new lending, drain the others → keep(), or
//     take_back()
//
// A listener of one of the two configurations alone gets connections only while a worker serves it; before
// and after that its door is held (endpoint.hpp). After keep() or take_back(), listeners that are not in the
// configuration are abandoned, and closed when the last worker that has them has exited.
class Listeners {
 public:
  // Keep as long as a process may accept on the set's sockets.
  using Hold = std::shared_ptr<const void>;

  // Binds all that are not in `passed`, or none and fails. Blocks on name look-ups.
  static Result<Listeners> open(const std::vector<Listener>& wanted, ListenMode mode, int backlog,
                                unsigned slots, PassedListeners passed = {});
  // The listeners of the former image of the program. `make`: makes an application listener from its state.
  using MakeApp = std::function<std::unique_ptr<AppEndpoint>(const state::EndpointState&)>;
  static Listeners adopt(const state::ListenersState& from);
  // Call once after adopt(), before anything else: the endpoints that are not lent now, application listeners
  // and those that are leaving. Returns ListenersState::lendings. Hold each as long as a worker has it.
  std::vector<Lending> adopt_others(const state::ListenersState& from, const MakeApp& make);
  // All members but kept() as values. `flips`: flip() is about to begin, and the master that goes on from
  // this state repeats it. Otherwise a staged set is saved as a former one.
  state::ListenersState save(bool flips = false) const;
  // The place of an endpoint or of what is lent in save(), and the reverse.
  unsigned number_of(const Endpoint& endpoint) const;
  unsigned number_of(const Lending& lending) const;
  Endpoint* numbered(unsigned number) const { return endpoints_.at(number).get(); }

  Listeners(Listeners&&) = default;
  Listeners& operator=(Listeners&&) = delete;

  // Adds slots, in reuseport sets also sockets. On failure nothing changes.
  Result<void> grow(unsigned slots);
  // Removes the slots from this number on; connections that wait for them are reset.
  void shrink(unsigned slots);
  // A worker that serves, and what it is lent.
  struct Serving {
    unsigned slot;
    Lending lending;
  };
  // Directs new connections to the slots below `slots` that are not in `without`; to all if none is left.
  // Applies to the live set, also after a flip. `serving`: needed only while is_changing(), when sockets of
  // listeners that no worker serves are left out, too.
  void steer(unsigned slots, const std::set<unsigned>& without, const std::vector<Serving>& serving = {});

  // What workers are lent by the present configuration. Same value until take_up() or take_back().
  const Lending& lending() const;
  // What the former configuration lends until keep() or take_back(); otherwise the same.
  const Lending& former() const {
    lending();
    return former_;
  }
  // Another configuration.
  struct Wanted {
    std::vector<Listener> listen;
    ListenMode mode = ListenMode::reuseport;
    int backlog = 0;                           // of new listeners
    std::map<std::string, std::string> hosts;  // name of a host → IP address; other names are looked up here
  };
  // Binds what is new in it, with held doors, and makes the sockets that another mode needs. A listener at
  // the same address stays, with its sockets. On failure nothing has changed. Call close_unheld() if the
  // result is not used.
  Result<Lending> prepare(const Wanted& wanted);
  // From now on this is the present configuration; the former one is still in use.
  void take_up(const Lending& lending);
  // The former one is the present one again.
  void take_back();
  // The former one is not needed any more.
  void keep() { former_ = lending(); }
  // Whether workers of several configurations may live.
  bool is_changing() const;
  // Connections in sockets of this worker that no worker in the slots below `slots` will have by the present
  // configuration. Includes pending handshakes, for those begin_parting() must be called first.
  std::size_t waiting_in_parting(const Serving& worker, unsigned slots);
  // Call when connections have been steered away from such sockets.
  void begin_parting() { parting_.emplace(); }
  // Closes what no configuration has that a worker has. `forget` is called before a listener is closed.
  void close_unheld(const std::function<void(Endpoint&)>& forget);
  // Sets the length of accept queues.
  void set_backlog(int backlog);

  // Makes the staged set. On failure nothing changes.
  Result<void> stage();
  bool staged() const { return staged_.has_value(); }
  unsigned live() const { return live_; }
  // Gives up the staged set, if any.
  void unstage();
  // Directs new connections to all slots of the staged set. On failure nothing changes for any listener,
  // and the set remains staged. May be repeated by the next master, whatever the former one has done of it.
  Result<void> flip();
  // Connections that wait in former sets with a holder, including handshakes pending at the last flip. At
  // least 1 for 50 ms after a flip, so that 0 is final. Call about every 10 ms, with a limit: a handshake
  // that the client never completes counts for a minute.
  std::size_t waiting_in_old();
  // After adopt(): a flip of the former master was not completed.
  void resume_flip() { pending_handshakes_.emplace(); }

  // Connections in the accept queues of this slot alone; 0 in shared mode.
  std::size_t waiting(unsigned slot) const;
  struct Depth {
    std::string name;
    std::optional<std::size_t> waiting;  // nullopt: unknown
  };
  // The accept queue of each listener, summed over the sockets.
  std::vector<Depth> depth() const;

  // Application listeners (app_listeners.hpp): steered, flipped and repaired like the lent ones.
  void take(std::unique_ptr<AppEndpoint> endpoint);
  void drop(const AppEndpoint& endpoint);
  const std::vector<AppEndpoint*>& app_endpoints() const { return app_endpoints_; }
  // The endpoint for an address that an application binds; if the address is unnamed, the n-th. nullptr:
  // none.
  Endpoint* find(const BindAddress& address, unsigned nth) const;
  // The listening socket with that cookie; borrowed. endpoint == nullptr: none.
  struct Found {
    Endpoint* endpoint = nullptr;
    int fd = -1;
  };
  Found with_socket(std::uint64_t cookie) const;
  // Whether any socket of the endpoints has that cookie.
  bool has_socket(std::uint64_t cookie) const;
  // Whether `file` is a Unix socket of the master and `path` one of the names, not just another link.
  bool is_ours(const std::string& path, const struct stat& file) const;
  // The endpoint with the file at this path; nullptr: none.
  Endpoint* with_file(const std::string& path) const;
  // Repeats the last steer(), for sockets made since.
  void steer_again();

  // Undoes what applications may have done to shared sockets: shutdown(), a smaller backlog, blocking mode.
  // Logs each repair. Cheap: call whenever a worker may have changed something.
  void repair();
  // The same for the sockets that workers of this slot have.
  void repair_of(unsigned slot);

  // The sockets for a worker of that slot, in the order of the listeners; borrowed. Take hold() at the same
  // time and keep that until the worker has exited.
  std::vector<int> of_slot(unsigned slot, bool staged = false) const {
    return of_slot(lending(), slot, staged);
  }
  std::vector<int> of_slot(const Lending& lending, unsigned slot, bool staged = false) const;
  Hold hold(bool staged = false) const;
  // What a worker gets.
  struct Given {
    Hold set;
    Lending lending = {};  // empty: the present one
  };
  unsigned set_of(const Hold& hold) const;
  Hold hold_of(unsigned set) const { return holds_.at(set); }
  // The endpoints of the sockets in of_slot().
  std::vector<Endpoint*> lent() const;
  // The addresses of these, and of those that are leaving.
  std::vector<std::string> addresses_lent() const;
  // All sockets of an endpoint; borrowed.
  std::vector<int> sockets_of(const Endpoint& endpoint) const;
  // Checks the files of Unix sockets and recreates missing ones.
  struct Mended {
    Endpoint* endpoint;
    FileReport report;
  };
  std::vector<Mended> mend_files();  // all that are not fine
  std::vector<std::string> watched() const;
  // What the service manager shall keep for the next start, by listener: the listening sockets in the order
  // of their numbers; borrowed. Without those that the manager has bound, and those of applications.
  struct Kept {
    std::string name;
    std::vector<int> sockets;
  };
  std::vector<Kept> to_keep() const;
  // What it has kept until this start, or until this program was executed.
  const systemd::StoredSockets& kept() const { return kept_; }
  // The manager keeps the sockets: they are not shut down at the end, and files of Unix sockets stay.
  void leave_open();
  // The addresses of all listeners.
  ListeningPlaces places() const;
  // All listening sockets of every set.
  ListeningSockets listening() const;
  // "name,name"
  std::string names() const { return names(lending()); }
  static std::string names(const Lending& lending);

  struct Bound {
    std::string name;
    std::string address;       // with the port that the kernel chose
    bool application = false;  // an application listener
  };
  std::vector<Bound> bound() const;
  // Those that are not in the present configuration, and that workers still have.
  std::vector<Bound> leaving() const;

 private:
  Listeners() = default;
  unsigned set_of(bool staged) const { return staged ? *staged_ : live_; }
  bool is_free(unsigned set) const;
  void retire_free_sets();
  bool is_app(const Endpoint* endpoint) const;
  std::vector<Endpoint*> current() const;  // all but those that are leaving
  std::vector<Lending> lendings() const;   // the present one first; each once
  using Places = std::vector<Endpoint*>;   // by listener of a Wanted; nullptr: a new one
  Places match(const Wanted& wanted) const;
  Result<void> open_new(const Wanted& wanted, Places& places);
  Result<Lending> lend(const Wanted& wanted, Places places);
  void steer_changing(Endpoint& endpoint);
  template <class Tell>
  void each_socket(const Tell& tell) const;  // those that listen, of every set

  std::vector<std::unique_ptr<Endpoint>> endpoints_;  // the lent ones first, as in lending()
  std::size_t lent_ = 0;                              // number of lent endpoints
  std::vector<AppEndpoint*> app_endpoints_;           // others; those in neither are leaving
  mutable Lending lending_;                           // made by the first lending()
  mutable Lending former_;                            // until keep(), what the committed generation is lent
  std::vector<std::weak_ptr<const std::vector<Lent>>> lendings_;  // all that were made by prepare()
  // While is_changing(): the sockets of an endpoint that serving workers have, by number in the set.
  std::map<const Endpoint*, std::set<unsigned>> served_;
  std::optional<PendingHandshakes> parting_;
  bool is_left_open_ = false;
  std::vector<std::shared_ptr<const int>> holds_;  // by set
  systemd::StoredSockets kept_;
  unsigned live_ = 0;
  std::optional<unsigned> staged_;
  unsigned slots_ = 0;    // that sets have sockets for
  unsigned steered_ = 0;  // the last arguments of steer()
  std::set<unsigned> without_;
  std::optional<PendingHandshakes> pending_handshakes_;  // from a flip until the last has ended
};

}  // namespace liveswap::master
