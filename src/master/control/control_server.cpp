#include "master/control/control_server.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/file.hpp"
#include "base/log.hpp"
#include "base/reserve.hpp"
#include "config/address.hpp"
#include "master/sockets/sockets.hpp"
#include "master/state/master_state.hpp"
#include "master/uv/loop.hpp"

namespace liveswap::master {
namespace {

constexpr int backlog = 128;
constexpr std::size_t connections_per_socket = 64;

// The time does not depend on where the tokens differ.
bool equal_in_constant_time(const std::string& a, const std::string& b) {
  if (a.size() != b.size()) return false;
  volatile unsigned char difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    difference = difference | static_cast<unsigned char>(a[i] ^ b[i]);
  return difference == 0;
}

// Defence in depth: the runtime directory's mode already keeps other users out.
bool peer_is_trusted(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == ::geteuid() || peer.uid == 0;
}

std::string name_of_peer(int fd, bool local) {
  if (local) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return "";
    return fmt::format("uid {}, pid {}", peer.uid, peer.pid);
  }
  SocketAddress peer;
  peer.length = sizeof peer.storage;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer.storage), &peer.length) != 0) return "";
  return peer.text() + " over TCP";
}

template <class Uv>
void delete_as(uv_handle_t* handle) {
  delete reinterpret_cast<Uv*>(handle);
}

struct Stream {
  uv_stream_t* handle;
  void (*deleter)(uv_handle_t*);
};

Stream make_stream(uv_loop_t& loop, bool local) {
  if (local) {
    auto* pipe = new uv_pipe_t;
    uv_pipe_init(&loop, pipe, 0);
    return {reinterpret_cast<uv_stream_t*>(pipe), delete_as<uv_pipe_t>};
  }
  auto* tcp = new uv_tcp_t;
  uv_tcp_init(&loop, tcp);
  return {reinterpret_cast<uv_stream_t*>(tcp), delete_as<uv_tcp_t>};
}

// False: `client` still belongs to the caller.
bool open_stream(const Stream& stream, int client, bool local) {
  return (local ? uv_pipe_open(reinterpret_cast<uv_pipe_t*>(stream.handle), client)
                : uv_tcp_open(reinterpret_cast<uv_tcp_t*>(stream.handle), client)) == 0;
}

// Pause before accepting again if the kernel had no descriptor or memory.
constexpr Milliseconds rest{100};

// An error of one client, not of the queue.
bool is_client_gone(int error) {
  return error == EAGAIN || error == EINTR || error == ECONNABORTED || error == EPROTO;
}

// Allocates nothing.
void say(int client, std::string_view line) {
  ::send(client, line.data(), line.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

Result<UniqueFd> listen_tcp_control(const std::string& address, std::uint16_t port) {
  const std::string object = fmt::format("the control port {}:{}", address, port);
  const auto where = resolve({config::Address::Kind::tcp, address, port, ""});
  if (!where) return tl::unexpected<Error>(where.error());
  auto fd = listen_tcp(*where, false, backlog, object);
  if (!fd) return fail(fd.error().text + "; `--port` chooses another");
  return fd;
}

}  // namespace

struct ControlServer::ListeningSocket {
  ListeningSocket(uv_loop_t& loop, UniqueFd socket, bool is_local)
      : fd(std::move(socket)), local(is_local), resting(loop), poll(loop, fd.get()) {}
  UniqueFd fd;
  bool local;
  Timer resting;
  Poll poll;
};

ControlServer::ControlServer(uv_loop_t& loop, Settings settings, OnCommand on_command)
    : loop_(loop), settings_(std::move(settings)), on_command_(std::move(on_command)) {}

Result<std::unique_ptr<ControlServer>> ControlServer::open(uv_loop_t& loop, Settings settings,
                                                           OnCommand on_command) {
  std::unique_ptr<ControlServer> server(new ControlServer(loop, std::move(settings), std::move(on_command)));
  const auto& instance = server->settings_.instance;
  if (auto made = ensure_private_directory(instance.runtime_dir, 0077); !made)
    return tl::unexpected<Error>(made.error());
  auto tcp = listen_tcp_control(server->settings_.address, instance.port);
  if (!tcp) return tl::unexpected<Error>(tcp.error());
  auto local = listen_unix(instance.socket_path(), 0600, backlog);
  if (!local) return tl::unexpected<Error>(local.error());
  server->socket_lock_ = std::move(local->lock);
  if (auto opened = server->open_socket(std::move(local->socket), true); !opened)
    return tl::unexpected<Error>(opened.error());
  if (auto opened = server->open_socket(std::move(*tcp), false); !opened)
    return tl::unexpected<Error>(opened.error());
  return server;
}

Result<std::unique_ptr<ControlServer>> ControlServer::adopt(uv_loop_t& loop, Settings settings,
                                                            const state::ControlState& from,
                                                            OnCommand on_command) {
  std::unique_ptr<ControlServer> server(new ControlServer(loop, std::move(settings), std::move(on_command)));
  server->socket_lock_ = UniqueFd::adopt(from.lock.number);
  for (const auto& [fd, local] : {std::pair{from.local, true}, {from.tcp, false}})
    if (auto opened = server->open_socket(UniqueFd::adopt(fd.number), local); !opened)
      return tl::unexpected<Error>(opened.error());
  for (const auto& one : from.clients) {
    const auto id = server->admit(UniqueFd::adopt(one.socket.number), one.local);
    if (id && one.asked) server->asked_ = id;
    if (auto* connection = server->find(id)) connection->resume(one.received, one.asked);
  }
  return server;
}

state::ControlState ControlServer::save(ConnectionId asked) const {
  state::ControlState into;
  into.token = settings_.token;
  into.lock = {socket_lock_.get()};
  for (const auto& socket : sockets_) (socket.local ? into.local : into.tcp) = {socket.fd.get()};
  for (const auto& [id, client] : connections_) {
    const auto& connection = *client.connection;
    if (connection.is_sending(false) || (connection.busy() && id != asked)) continue;
    into.clients.push_back({{connection.fd()}, connection.local(), connection.received(), id == asked});
  }
  return into;
}

bool ControlServer::is_sending() const {
  return std::any_of(connections_.begin(), connections_.end(),
                     [](const auto& one) { return one.second.connection->is_sending(true); });
}

ControlServer::~ControlServer() {
  connections_.clear();
  for (ListeningSocket& socket : sockets_) socket.poll.stop();
  sockets_.clear();
  if (socket_lock_) ::unlink(settings_.instance.socket_path().c_str());
}

Result<void> ControlServer::open_socket(UniqueFd fd, bool local) {
  ListeningSocket& socket = sockets_.emplace_back(loop_, std::move(fd), local);
  if (!socket.poll.usable()) return fail("cannot watch the control socket");
  socket.resting.on_due([&socket] { socket.poll.watch(UV_READABLE); });
  socket.poll.start(UV_READABLE, [this, &socket](int) { accept(socket); });
  return {};
}

// Closes the oldest connection without a pending command, so that silent clients lock no one out. False:
// all have one.
bool ControlServer::make_room(bool local) {
  const auto count = std::count_if(connections_.begin(), connections_.end(), [local](const auto& one) {
    return one.second.connection->local() == local;
  });
  return static_cast<std::size_t>(count) < connections_per_socket || end_oldest(local);
}

bool ControlServer::end_oldest(bool local) {
  const auto oldest = std::find_if(connections_.begin(), connections_.end(), [local](const auto& one) {
    return one.second.connection->local() == local && !one.second.connection->busy();
  });
  if (oldest == connections_.end()) return false;
  connections_.erase(oldest);
  return true;
}

// If there is no free descriptor, closes the oldest connection to this or the other socket.
UniqueFd ControlServer::take_client(const ListeningSocket& socket) {
  const auto take = [&socket] {
    return UniqueFd::adopt(::accept4(socket.fd.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  };
  auto client = take();
  const bool none_left = !client && (errno == EMFILE || errno == ENFILE);
  return none_left && (end_oldest(socket.local) || end_oldest(!socket.local)) ? take() : std::move(client);
}

// Not uv_listen(): if an exception keeps its callback from accepting, libuv never calls it again.
void ControlServer::accept(ListeningSocket& socket) {
  auto client = take_client(socket);
  if (!client && is_client_gone(errno)) return;
  if (!client) {
    // Level-triggered: would fire continuously until a descriptor is free.
    socket.poll.stop();
    socket.resting.start(rest);
    return;
  }
  if (socket.local && !peer_is_trusted(client.get()))
    return log::seldom({"strangers at the control socket"}, log::Level::warning,
                       "a connection to the control socket was refused, from {}",
                       name_of_peer(client.get(), true));
  if (reserve::is_needed()) return say(client.get(), no_memory_line);
  if (make_room(socket.local)) admit(std::move(client), socket.local);
}

// 0: the loop cannot watch the client.
ConnectionId ControlServer::admit(UniqueFd client, bool local) {
  auto peer = name_of_peer(client.get(), local);
  const ConnectionId id = ++last_id_;
  ControlConnection::Handlers handlers{
      [this, id](const std::optional<std::string>& line) { on_line(id, line); },
      [this, id] { connections_.erase(id); }};
  const Stream stream = make_stream(loop_, local);
  if (!open_stream(stream, client.get(), local)) {
    uv_close(reinterpret_cast<uv_handle_t*>(stream.handle), stream.deleter);
    return 0;
  }
  client.release();
  auto connection =
      std::make_unique<ControlConnection>(stream.handle, local, stream.deleter, std::move(handlers));
  connections_.emplace(id, Client{std::move(connection), std::move(peer)});
  return id;
}

ControlConnection* ControlServer::find(ConnectionId id) {
  const auto it = connections_.find(id);
  return it == connections_.end() ? nullptr : it->second.connection.get();
}

std::string ControlServer::peer(ConnectionId id) const {
  const auto it = connections_.find(id);
  return it == connections_.end() ? "" : it->second.peer;
}

// Tells a local client where the control socket is and which user owns it (visible on this machine anyway).
// Other machines are not told.
protocol::Json ControlServer::about_itself(const std::string& peer) const {
  for (const char* loopback : {"127.", "[::1]", "[::ffff:127."})
    if (peer.starts_with(loopback))
      return {{"master",
               {{"pid", ::getpid()}, {"user", ::geteuid()}, {"socket", settings_.instance.socket_path()}}}};
  return protocol::Json::object();
}

bool ControlServer::permitted(bool local, const protocol::Command& command) const {
  return local || settings_.token.empty() || equal_in_constant_time(command.token, settings_.token);
}

void ControlServer::on_line(ConnectionId id, const std::optional<std::string>& line) {
  ControlConnection& connection = *find(id);
  if (reserve::is_needed()) return connection.refuse(no_memory_line);
  const auto command =
      line ? protocol::parse_command(*line)
           : fail(fmt::format("a line of more than {} bytes, expected a command", protocol::line_limit));
  if (!command) {
    log::seldom({"lines that are no command"}, log::Level::warning,
                "a line that is no command was refused, from {}", peer(id));
    connection.refuse(protocol::error_line("", protocol::Refusal::usage, command.error().text));
  } else if (!permitted(connection.local(), *command)) {
    log::seldom({"commands with no valid token on TCP"}, log::Level::warning,
                "a {} command with no valid token was refused on TCP, from {}", protocol::word(command->verb),
                peer(id));
    connection.refuse(protocol::error_line(protocol::word(command->verb), protocol::Refusal::refused,
                                           "the command has no valid token", about_itself(peer(id))));
  } else {
    on_command_(id, *command);
  }
}

}  // namespace liveswap::master
