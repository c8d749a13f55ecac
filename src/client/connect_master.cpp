#include "client/connect_master.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "client/status_query.hpp"

namespace liveswap::client {
namespace {

// For the whole search.
constexpr std::chrono::milliseconds search_limit{1'000};

// Adds `suffix` to each entry of `directory` with a name that starts with `prefix`.
void add_all(std::vector<std::string>& places, const std::string& directory, std::string_view prefix,
             const std::string& suffix) {
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(directory, failed))
    if (entry.path().filename().string().starts_with(prefix))
      places.push_back(entry.path().string() + suffix);
}

std::vector<ControlSocket> other_sockets(const protocol::Instance& instance) {
  std::vector<ControlSocket> sockets;
  for (const auto& directory : usual_directories()) sockets.push_back({directory, instance.port});
  for (auto& socket : control_sockets())
    if (socket.port == instance.port) sockets.push_back(std::move(socket));
  std::vector<ControlSocket> others;
  for (auto& socket : sockets)
    if (socket.directory != instance.runtime_dir && is_liveswap(socket) &&
        std::find(others.begin(), others.end(), socket) == others.end())
      others.push_back(std::move(socket));
  return others;
}

Endpoint ambiguous(const QueriedSocket& one, const QueriedSocket& other, const protocol::Instance& instance) {
  const auto named = [](const QueriedSocket& queried) {
    return fmt::format("{} of {}", queried.socket.path(), user_name(queried.user));
  };
  Endpoint endpoint{{}, one.socket.path(), false};
  endpoint.attempt.result = ConnectResult::forbidden;
  endpoint.attempt.text =
      fmt::format("more than one master is on port {}: {}, and {}; choose one: --runtime-dir {}",
                  instance.port, named(one), named(other), one.socket.directory);
  return endpoint;
}

// `others` collects sockets that are untrusted or silent, for the error message.
std::optional<Endpoint> find_elsewhere(const protocol::Instance& instance, std::string& others) {
  std::optional<QueriedSocket> found;
  for (const auto& queried : query_sockets(other_sockets(instance), search_limit)) {
    if (queried.result == ConnectResult::forbidden) others += queried.text + ", and ";
    if (queried.answer == Answer::silent) others += queried.socket.path() + " does not answer, and ";
    if (queried.answer != Answer::master) continue;
    if (found) return ambiguous(*found, queried, instance);
    found = queried;
  }
  if (!found) return std::nullopt;
  return Endpoint{connect_trusted(found->socket, Deadline::after(search_limit)), found->socket.path(), false};
}

}  // namespace

OwnerNotice& owner_notice() {
  static OwnerNotice wanted;
  return wanted;
}

std::vector<std::string> usual_directories() {
  const std::string user = std::to_string(::geteuid());
  std::vector<std::string> places{"/run/user/" + user + "/liveswap", "/run/liveswap",
                                  "/tmp/liveswap-" + user};
  if (::geteuid() != 0) return places;
  add_all(places, "/run/user", "", "/liveswap");
  add_all(places, "/tmp", "liveswap-", "");
  return places;
}

Endpoint connect_master(const Client::Where& where, const protocol::Instance& instance,
                        const Deadline& deadline) {
  std::string no_socket;
  if (means_this_machine(where.address)) {
    Endpoint local{connect_unix(instance.socket_path(), deadline), instance.socket_path(), false};
    // Without a runtime directory from the user, a socket of another user in the default directory is
    // skipped.
    const auto result = local.attempt.result;
    if (result != ConnectResult::no_listener &&
        (result != ConnectResult::forbidden || !where.runtime_dir.empty()))
      return local;
    no_socket = local.attempt.text + ", and ";
    if (where.runtime_dir.empty())
      if (auto found = find_elsewhere(instance, no_socket)) return std::move(*found);
  }
  Endpoint tcp{connect_tcp(where.address, where.port, deadline), host_and_port(where.address, where.port),
               true};
  tcp.attempt.text = no_socket + tcp.attempt.text;
  return tcp;
}

}  // namespace liveswap::client
