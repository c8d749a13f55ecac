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
#include "master/app_listeners/app_unix.hpp"
#include "master/app_listeners/listener_options.hpp"
#include "master/sockets/listeners.hpp"
#include "master/workers/worker_process.hpp"
#include "rollout/awaited.hpp"
#include "rollout/listener_lifetime.hpp"
#include "rollout/types.hpp"

namespace liveswap::master {

// Listeners of applications that know nothing of a master: who binds which address, by what the worker hosts
// say (BIND, LISTEN, UNLISTEN, UNLINK, HANDOFF, WAITS of contract/channel.h). Nothing of it is believed: a
// worker can reach only sockets that it was given, and only so many of them. And when a worker is ready by
// what it waits on, lent listeners included (rollout/awaited.hpp).
//
// A life of such a listener:
//
//   bound      a worker's socket is bound to it; another worker that binds the same address gets a socket of
//   it, too listening  one of them has called listen(): it is said in the log and in the status unused none
//   but draining workers use it. Outside of upgrades that is so after the last worker has closed it, or
//              at the end of an upgrade to code that does not bind it; after a grace (rollout/lifetime.hpp)
//              it is
//   dropped    closed, a Unix socket's file removed
class AppListeners {
 public:
  struct Rules {
    bool per_slot = true;
    int backlog = 0;
    bool listen_at_once = false;       // listen() of the application is not seen (--intercept seccomp)
    std::optional<Identity> identity;  // that the workers are given; none: the master's
    std::set<std::uint16_t> privileged_ports;  // that are bound for workers who may not do so themselves
    std::size_t handed_off_limit = 0;  // connections that wait at a time; 0: by the limit on descriptors
    bool expects_listener = false;     // a worker is not ready before it waits on some listener
    rollout::AwaitedListeners::Limits awaited = {};
  };
  // False: the worker has too much to read already, and is sent nothing; an answer is sent in any case.
  using Send = std::function<bool(rollout::WorkerId, std::uint32_t kind, std::int32_t value, const Extras&)>;

  AppListeners(Listeners& listeners, Rules rules, Send send)
      : listeners_(listeners), rules_(std::move(rules)), send_(std::move(send)), awaited_(rules_.awaited) {}

  void joined(rollout::WorkerId worker, const rollout::AwaitedListeners::Place& place, pid_t pid,
              const Listeners::Hold& set);
  void left(rollout::WorkerId worker);
  // The application is being called; `by_itself`: it will say itself when it is ready. Whether the worker's
  // readiness is decided by that or by judge(), and not by the settle time.
  bool entered(rollout::WorkerId worker, bool by_itself);
  void deferred(rollout::WorkerId worker, bool by_itself);
  // A frame of a worker that is known; takes its descriptor. False: it is none of these.
  bool take_frame(rollout::WorkerId worker, Frame& frame);

  // As the engine sees it. `quiet`: no upgrade is under way, and every slot is served.
  struct Seen {
    rollout::WorkerId worker;
    bool ready;
    bool draining;
  };
  // What follows from the use of the endpoints: which sockets are wanted, what is dropped, who gets a
  // connection that was handed off. To be called after every frame, and whenever the engine's view may have
  // changed. When to call next if nothing happens.
  std::optional<rollout::Time> look(rollout::Time now, const std::vector<Seen>& seen, bool quiet);
  // No listener of an application, and nothing that waits.
  bool idle() const { return listeners_.taken().empty() && handed_off_.empty(); }
  // How workers stand that are not ready, whenever that may have changed; to be called after look(). One that
  // is said to be ready is not judged again.
  struct Judged {
    rollout::WorkerId worker;
    rollout::AwaitedListeners::Outlook outlook;
  };
  std::vector<Judged> judge(rollout::Time now);
  // When to call that next if nothing happens.
  std::optional<rollout::Time> next_judgement() const { return judgement_due_; }
  // Workers that have closed a listener of --listen on which they waited, and have not come back to it within
  // half a second; each is told once. To be called after look().
  struct GivenUp {
    rollout::WorkerId worker;
    std::string listener;
  };
  std::vector<GivenUp> given_up(rollout::Time now);
  // Whether it has been seen to wait on the listener of that name, and has not said that it closed it.
  bool waits_on(rollout::WorkerId worker, const std::string& listener) const;
  // So many connections wait for a worker that who hands off more shall be listened to later.
  bool is_full(rollout::WorkerId giver) const;
  // How many of the idle connections that this one believes to have handed off were closed instead. Before
  // left().
  std::uint64_t refused(rollout::WorkerId giver) const;
  // Only these generations serve, or are about to: what others have set on the sockets is taken back. Says in
  // the log what was, and what cannot be.
  void keep_options(const std::set<rollout::Generation>& live);
  // By listener: what cannot be taken back; for people.
  const std::map<std::string, std::string>& stuck_options() const { return stuck_options_; }

  // Another socket is in place of that with this cookie: the workers that have it get the new one.
  void replaced(Endpoint& endpoint, std::uint64_t former);

 private:
  struct Worker {
    rollout::AwaitedListeners::Place place;
    unsigned set = 0;
    pid_t pid = 0;
    bool entered = false;
    rollout::Time entered_at{0};  // when judge() first saw it
    bool by_itself = false;       // it says itself when it is ready
    bool expects = false;         // it has bound a listener, or was about to
    bool progressed = true;       // since `since`, which is not set yet
    rollout::Time since{0};
    bool ready = false;
    bool draining = false;
    std::set<Endpoint*> waits;  // that it has been seen to wait on, and has not closed
    std::map<const Endpoint*, std::optional<rollout::Time>>
        given_up;                                // lent ones that it has closed instead; seen by look() at
    bool waits_elsewhere = false;                // on a listener of its own
    std::set<Endpoint*> uses;                    // that it has bound and not closed
    std::map<std::uint64_t, Endpoint*> cookies;  // of every socket that it was given, at its start or later:
                                                 // also those that others have replaced
    std::map<std::string, unsigned> unnamed;     // how often it has left the choice to the kernel, by address
    std::map<const Endpoint*, std::string> named;  // paths that it has bound Unix sockets at, and not renamed
    unsigned complaints = 0;
    std::uint64_t adopted = 0;
    std::uint64_t refused = 0;  // of the idle connections that it has handed off
    std::shared_ptr<std::size_t> waiting =
        std::make_shared<std::size_t>(0);  // connections that it has handed off
  };
  // Where the connections of an endpoint that nobody serves can go.
  struct Heir {
    Endpoint* endpoint;
    int family;
  };
  // What is known of a taken endpoint beside its sockets.
  struct Use {
    rollout::ListenerLifetime lifetime;
    std::vector<Heir> heirs;
    bool told = false;  // in the log
  };
  using Ticket = std::shared_ptr<const void>;  // counts as long as the connection waits
  struct HandedOff {
    ReceivedFd connection;
    Endpoint* endpoint;
    unsigned slot;
    rollout::WorkerId from;
    rollout::Time waited;                // before it came here
    std::optional<rollout::Time> since;  // set when it is first looked at
    Ticket ticket;
  };

  // What a BIND has said, and on whose behalf it is done.
  struct BindRequest {
    BindAddress address;
    std::optional<Identity> as;
  };
  // What a RENAME has said, likewise.
  struct Renaming {
    std::string from, to;
    std::optional<Identity> as;
  };
  int bind(Worker& worker, Frame& frame, UniqueFd& answer);
  int bind_address(Worker& worker, const BindRequest& wish, ReceivedFd own, UniqueFd& answer);
  int first_bind(Worker& worker, const BindRequest& wish, unsigned nth, ReceivedFd own, Endpoint*& endpoint);
  std::unique_ptr<AppEndpoint> make_endpoint(const BindAddress& address, unsigned nth) const;
  bool excludes(const Worker& worker, const BindAddress& address, int fd) const;
  Endpoint* find(const BindAddress& address, unsigned nth);
  int listen(Worker& worker, const Frame& frame);
  void note_wait(Worker& worker, const Frame& frame);
  void unlisten(Worker& worker, const Frame& frame);
  void note_option(const Worker& worker, const Frame& frame);
  void replace_stuck(const OptionLedger::Restore& stuck);
  void give(Worker& worker, int socket, Endpoint& endpoint);
  void give_up(Worker& worker, const Endpoint& endpoint);
  int unlink(Worker& worker, const Frame& frame) const;
  int rename(Worker& worker, const Frame& frame, UniqueFd& answer);
  int move(Worker& worker, AppUnix& endpoint, const Renaming& wish);
  int merge(Worker& worker, AppUnix& endpoint, Endpoint& into, const std::optional<Identity>& as,
            UniqueFd& answer);
  void mend(Endpoint& endpoint);
  void mended(const Worker& worker, const Frame& frame) const;
  int take_handed_off(rollout::WorkerId id, Worker& worker, Frame& frame);
  int hand_off(rollout::WorkerId id, Worker& worker, Frame& frame);
  bool is_from(const Endpoint& endpoint, const Worker& worker, int connection) const;
  AppEndpoint* taken_endpoint(const Endpoint* endpoint) const;  // nullptr: of another kind, or none
  Endpoint* endpoint_of(const Worker& worker, const std::string& text) const;
  int socket_for(const Worker& worker, const Endpoint& endpoint) const;
  Result<std::optional<Identity>> identity_for(Worker& worker, const Frame& frame) const;
  int check_path(Worker& worker, const Sender& sender, const std::string& path) const;
  bool may_bind(const std::optional<Identity>& as, std::uint16_t port) const;
  int complain_of_bind(Worker& worker, const BindAddress& address, int error) const;
  void complain(Worker& worker, const std::string& text) const;

  bool note_states(const std::vector<Seen>& seen);
  AppEndpoint::Wanted wanted_of(AppEndpoint& endpoint) const;
  void refresh(AppEndpoint& endpoint, Use& use);
  void look_at(AppEndpoint& endpoint, Use& use, rollout::Time now);
  bool is_used(Endpoint* endpoint, bool also_draining) const;
  void drop(AppEndpoint& endpoint);
  std::vector<Heir> heirs_of(const AppEndpoint& endpoint) const;
  void forward(const AppEndpoint& from, const Use& use);
  std::size_t handed_off_limit() const;
  Ticket ticket_for(const std::shared_ptr<std::size_t>& giver) const;
  Endpoint* taker(const Worker& worker, const HandedOff& one) const;
  bool adopt(const HandedOff& one, bool also_by_giver);
  bool is_being_judged(const Worker& worker) const;
  rollout::AwaitedListeners::Listeners served_by(const Worker& worker) const;
  bool is_replaced(const Worker& worker, const std::string& key) const;
  rollout::AwaitedListeners::Progress progress_of(const Worker& worker) const;
  void place_handed_off(rollout::Time now);
  std::optional<rollout::Time> next_time(rollout::Time now) const;

  Listeners& listeners_;
  Rules rules_;
  Send send_;
  std::map<rollout::WorkerId, Worker> workers_;
  std::map<const Endpoint*, Use> uses_;
  OptionLedger options_;
  std::map<std::string, std::string> stuck_options_;
  std::deque<HandedOff> handed_off_;
  std::deque<std::uint64_t> former_;  // cookies of sockets that are no more ours; others may have them still
  std::shared_ptr<std::size_t> waiting_ = std::make_shared<std::size_t>(0);    // connections, of all givers
  std::shared_ptr<std::size_t> forwarded_ = std::make_shared<std::size_t>(0);  // those of no giver
  rollout::AwaitedListeners awaited_;
  std::optional<rollout::Time> judgement_due_;
  bool unjudged_ = false;  // something has changed since the last judge()
  rollout::Time looked_at_{0};
  bool changed_ = true;  // since the last look()
  bool quiet_ = false;   // at that
};

}  // namespace liveswap::master
