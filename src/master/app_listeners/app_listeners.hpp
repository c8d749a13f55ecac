#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "master/app_listeners/app_endpoint.hpp"
#include "master/app_listeners/app_inet.hpp"
#include "master/app_listeners/app_unix.hpp"
#include "master/app_listeners/listener_options.hpp"
#include "master/sockets/listeners.hpp"
#include "master/state/worker_state.hpp"
#include "master/workers/worker_process.hpp"
#include "rollout/awaited.hpp"
#include "rollout/listener_lifetime.hpp"
#include "rollout/types.hpp"

namespace liveswap::master {

// Listeners that applications bind themselves. Worker hosts report their calls (BIND, LISTEN, UNLISTEN,
// UNLINK, HANDOFF, WAITS of contract/channel.h); workers that bind the same address share an endpoint. The
// master trusts no report: a worker can reach only sockets that it was given, and a bounded number of them.
// Also tells when a worker is ready, from the listeners (lent ones too) that it waits on
// (rollout/awaited.hpp).
//
// Life of an application listener:
//
//   bound      a worker has bound a socket to the address; others that bind it get a socket too
//   listening  one of them has called listen(): appears in log and status
//   unused     used by draining workers only: the others have closed the listener, or new code does not bind
//              the address. After a grace (rollout/listener_lifetime.hpp) the listener is
//   dropped    closed; a Unix socket's file is removed
class AppListeners {
 public:
  // What has become of a connection by which a worker is asked (ask()).
  enum class Taken {
    accepted,  // accept() has returned it to the application
    unseen,    // the application accepts in a way that its worker host does not see
    not_held,  // the worker does not have the listener
    no_room,   // the worker had no free descriptor for it
  };
  struct Rules {
    bool per_slot = true;
    int backlog = 0;
    bool listen_at_once = false;               // listen() is not seen (--intercept seccomp)
    std::optional<spawn::Identity> identity;   // of workers; nullopt: the master's
    std::set<std::uint16_t> privileged_ports;  // bound for workers that may not bind them
    std::size_t handed_off_limit = 0;          // waiting connections; 0: from the limit on descriptors
    bool expects_listener = false;             // a worker is ready only when waiting on a listener
    rollout::AwaitedListeners::Limits awaited = {};
  };
  // False: the worker has too much unread, and nothing is sent. Answers are always sent.
  using Send = std::function<bool(rollout::WorkerId, std::uint32_t kind, std::int32_t value, const Extras&)>;

  AppListeners(Listeners& listeners, Rules rules, Send send)
      : listeners_(listeners), rules_(std::move(rules)), send_(std::move(send)), awaited_(rules_.awaited) {}

  // Other rules from now on. Listeners that exist keep those that they were made with.
  void follow(Rules rules) {
    rules_ = std::move(rules);
    awaited_.set_limits(rules_.awaited);
  }

  // A worker has been spawned with these sockets; left(): the worker has exited.
  void joined(rollout::WorkerId worker, const rollout::AwaitedListeners::Place& place, pid_t pid,
              const Listeners::Given& given);
  void left(rollout::WorkerId worker);
  // liveswap_main is being called. `by_itself`: the application will report readiness. Returns whether that
  // report or judge() decides the readiness, not the settle time.
  bool entered(rollout::WorkerId worker, bool by_itself);
  void deferred(rollout::WorkerId worker, bool by_itself);
  // Handles a frame of a known worker and takes its descriptor. False: not one of these kinds.
  bool take_frame(rollout::WorkerId worker, Frame& frame);

  // What the engine says of a worker.
  struct Seen {
    rollout::WorkerId worker;
    bool ready;
    bool draining;
  };
  // Updates which sockets are wanted, drops unused listeners, and passes on handed-off connections. Call
  // after changes in the engine and after every frame. A LIVESWAP_HANDOFF needs no call if its connection
  // could be passed on at once. `turned`: the workers that have become ready, or begun to drain, since the
  // last call. `quiet`: no upgrade is under way, and every slot is served. Returns when to call next if
  // nothing happens.
  std::optional<rollout::Time> look(rollout::Time now, const std::vector<Seen>& turned, bool quiet);
  // No application listener and no waiting connection.
  bool idle() const { return listeners_.app_endpoints().empty() && handed_off_.empty(); }
  // The state of workers that are not ready, where changes are possible; call after look(). A worker is
  // judged until look() is told that it is ready.
  struct Judged {
    rollout::WorkerId worker;
    rollout::AwaitedListeners::Outlook outlook;
  };
  std::vector<Judged> judge(rollout::Time now);
  // When to call judge() next if nothing happens.
  std::optional<rollout::Time> next_judgement() const { return judgement_due_; }
  // Workers that closed a lent listener on which they waited and have not reopened it within 500 ms; each
  // is reported once. Call after look().
  struct GivenUp {
    rollout::WorkerId worker;
    std::string listener;
  };
  std::vector<GivenUp> given_up(rollout::Time now);
  // Whether the worker waits on the listener of that name and has not closed that.
  bool waits_on(rollout::WorkerId worker, const std::string& listener) const;
  // So many handed-off connections wait that `giver` should be read later.
  bool is_full(rollout::WorkerId giver) const;
  // How many idle connections of `giver` were closed instead of being handed off. Call before left().
  std::uint64_t refused(rollout::WorkerId giver) const;
  // Undoes the options that generations other than `live` have set, and logs what was undone and what
  // cannot be.
  void keep_options(const std::set<rollout::Generation>& live);
  // Listener → what cannot be undone, for people.
  const std::map<std::string, std::string>& stuck_options() const { return stuck_options_; }

  // The socket by which this worker alone accepts from the lent listener of that name (empty: the first). An
  // error: the worker does not wait for stream connections on it.
  struct Way {
    std::uint64_t cookie = 0;
    int family = 0;
    std::string address;
  };
  Result<Way> way_to(rollout::WorkerId worker, const std::string& listener) const;
  // Has the worker accept this connection by that socket. The worker host answers TAKEN or REFUSED with
  // `number`, which is negative. False: the worker has too much unread.
  bool ask(rollout::WorkerId worker, const Way& way, int connection, std::int32_t number);

  // Whether handed-off connections wait for a worker.
  bool holds_connections() const { return !handed_off_.empty(); }
  // All members as values, for the next image of the program. Only if no connection is held.
  state::AppListenersState save() const;
  // Takes over the endpoints and workers of the former image, or of a killed master.
  void adopt(const state::AppListenersState& from, const state::ListenersState& listeners);

  // What the worker is lent. The worker must exist.
  const Lending& lent_to(rollout::WorkerId worker) const { return lent_to(workers_.at(worker)); }

  // A lent listener is being closed. No worker has it any more.
  void forget(Endpoint& endpoint);
  // A new socket has replaced the one with this cookie: the workers with the old one get the new one.
  void replaced(Endpoint& endpoint, std::uint64_t former);

 private:
  struct Worker : state::AppWorkerFacts {
    Lending lending;            // empty: the present one
    std::set<Endpoint*> waits;  // waits on these, and has not closed them
    // `waits` when it was last recorded for successors; nullopt: to be recorded again (record_waits()).
    std::optional<std::set<Endpoint*>> recorded;
    std::map<const Endpoint*, std::optional<rollout::Time>> given_up;  // closed lent ones; time by look()
    std::set<Endpoint*> uses;                                          // has bound these, and not closed them
    std::map<std::uint64_t, Endpoint*> cookies;    // all sockets that the worker was given, replaced ones too
    std::map<const Endpoint*, std::string> named;  // paths of Unix sockets bound and not renamed
    // Handed-off connections that wait.
    std::shared_ptr<std::size_t> waiting = std::make_shared<std::size_t>(0);
  };
  // An endpoint that can take the connections of an unserved one.
  struct Substitute {
    Endpoint* endpoint;
    int family;
  };
  // State of an application endpoint besides the sockets.
  struct Use {
    rollout::ListenerLifetime lifetime;
    std::vector<Substitute> substitutes;
    bool told = false;  // logged
  };
  using Ticket = std::shared_ptr<const void>;  // counts a waiting connection while held
  struct HandedOff {
    spawn::ReceivedFd connection;
    Endpoint* endpoint;
    unsigned slot;
    rollout::WorkerId from;
    rollout::Time waited;                // before reaching the master
    std::optional<rollout::Time> since;  // set by the first look()
    Ticket ticket;
  };

  // The content of a BIND, and the acting user.
  struct BindRequest {
    BindAddress address;
    std::optional<spawn::Identity> as;
  };
  // The same for a RENAME.
  struct Renaming {
    std::string from, to;
    std::optional<spawn::Identity> as;
  };
  int bind(Worker& worker, Frame& frame, UniqueFd& answer);
  int bind_address(Worker& worker, const BindRequest& request, spawn::ReceivedFd own, UniqueFd& answer);
  int first_bind(Worker& worker, const BindRequest& request, unsigned nth, spawn::ReceivedFd own,
                 Endpoint*& endpoint);
  std::unique_ptr<AppEndpoint> make_endpoint(const BindAddress& address, unsigned nth) const;
  std::unique_ptr<AppEndpoint> make_endpoint(const state::EndpointState& from) const;
  AppInet::Rules inet_rules() const;
  bool excludes(const Worker& worker, const BindAddress& address, int fd) const;
  Endpoint* find(const BindAddress& address, unsigned nth);
  int listen(Worker& worker, const Frame& frame);
  void note_wait(Worker& worker, const Frame& frame);
  void unlisten(Worker& worker, const Frame& frame);
  void note_option(const Worker& worker, const Frame& frame);
  void replace_stuck(const rollout::OptionLedger::Restore& stuck);
  void give(Worker& worker, int socket, Endpoint& endpoint);
  void give_up(Worker& worker, const Endpoint& endpoint);
  int unlink(Worker& worker, const Frame& frame) const;
  int rename(Worker& worker, const Frame& frame, UniqueFd& answer);
  int move(Worker& worker, AppUnix& endpoint, const Renaming& renaming);
  int merge(Worker& worker, AppUnix& endpoint, Endpoint& into, const std::optional<spawn::Identity>& as,
            UniqueFd& answer);
  void mend(Endpoint& endpoint);
  void mended(const Worker& worker, const Frame& frame) const;
  int take_handed_off(rollout::WorkerId id, Worker& worker, Frame& frame);
  int hand_off(rollout::WorkerId id, Worker& worker, Frame& frame);
  bool is_from(const Endpoint& endpoint, const Worker& worker, int connection) const;
  AppEndpoint* app_endpoint(const Endpoint* endpoint) const;  // nullptr: none, or a lent one
  Endpoint* endpoint_of(const Worker& worker, const std::string& text) const;
  int socket_for(const Worker& worker, const Endpoint& endpoint) const;
  int listening_socket(const Worker& worker, const Endpoint& endpoint) const;
  const Lending& lent_to(const Worker& worker) const;
  Result<std::optional<spawn::Identity>> identity_for(Worker& worker, const Frame& frame) const;
  int check_path(Worker& worker, const Sender& sender, const std::string& path) const;
  bool may_bind(const std::optional<spawn::Identity>& as, std::uint16_t port) const;
  int complain_of_bind(Worker& worker, const BindAddress& address, int error) const;
  void complain(Worker& worker, const std::string& text) const;

  bool note_states(const std::vector<Seen>& turned);
  AppEndpoint::Wanted wanted_of(AppEndpoint& endpoint) const;
  void refresh(AppEndpoint& endpoint, Use& use);
  void look_at(AppEndpoint& endpoint, Use& use, rollout::Time now);
  bool is_used(Endpoint* endpoint, bool also_draining) const;
  void drop(AppEndpoint& endpoint);
  std::vector<Substitute> substitutes_of(const AppEndpoint& endpoint) const;
  void forward(const AppEndpoint& from, const Use& use);
  std::size_t handed_off_limit() const;
  Ticket ticket_for(const std::shared_ptr<std::size_t>& giver) const;
  Endpoint* taker(const Worker& worker, const HandedOff& one) const;
  bool adopt(const HandedOff& one, bool also_by_giver);
  void record_waits(rollout::Time now, Worker& worker);
  void record_again(unsigned slot);
  void record_all_again();
  bool is_being_judged(const Worker& worker) const;
  bool is_settled(const Worker& worker) const;
  rollout::AwaitedListeners::Listeners served_by(const Worker& worker) const;
  bool is_replaced(const Worker& worker, const std::string& key) const;
  rollout::AwaitedListeners::Progress progress_of(const Worker& worker) const;
  void place_handed_off(rollout::Time now);
  std::optional<rollout::Time> next_time(rollout::Time now) const;

  Listeners& listeners_;
  Rules rules_;
  Send send_;
  std::map<rollout::WorkerId, Worker> workers_;
  std::map<unsigned, std::set<rollout::WorkerId>> of_slot_;
  // Workers about which something is to be found out or to be recorded: only they are looked at after an
  // event. Whatever may make is_settled() false puts the worker here.
  std::set<rollout::WorkerId> unsettled_;
  std::map<const Endpoint*, Use> uses_;
  rollout::OptionLedger options_;
  std::map<std::string, std::string> stuck_options_;
  std::deque<HandedOff> handed_off_;
  std::deque<std::uint64_t> former_;  // cookies of former sockets, which workers may still have
  // Waiting connections of all givers.
  std::shared_ptr<std::size_t> waiting_ = std::make_shared<std::size_t>(0);
  // The share of these that the master itself has accepted (forward()).
  std::shared_ptr<std::size_t> forwarded_ = std::make_shared<std::size_t>(0);
  rollout::AwaitedListeners awaited_;
  std::optional<rollout::Time> judgement_due_;
  bool unjudged_ = false;  // something has changed since the last judge()
  rollout::Time looked_at_{0};
  bool changed_ = true;  // since the last look()
  bool quiet_ = false;   // at the last look()
};

}  // namespace liveswap::master
