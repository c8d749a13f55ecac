#include "client/door.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "client/asked.hpp"

namespace liveswap::client {
namespace {

// For the whole search, however many sockets there are.
constexpr std::chrono::milliseconds search_limit{1'000};

// Of directories whose names begin so in a directory: all of them, with something behind each.
void add_all(std::vector<std::string>& places, const std::string& directory, std::string_view begin,
             const std::string& behind) {
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(directory, failed))
    if (entry.path().filename().string().starts_with(begin)) places.push_back(entry.path().string() + behind);
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

Door ambiguous(const Asked& one, const Asked& other, const protocol::Instance& instance) {
  const auto named = [](const Asked& asked) {
    return fmt::format("{} of {}", asked.socket.path(), user_name(asked.user));
  };
  Door door{{}, one.socket.path(), false};
  door.attempt.reached = Reached::forbidden;
  door.attempt.text =
      fmt::format("more than one master is on port {}: {}, and {}; choose one: --runtime-dir {}",
                  instance.port, named(one), named(other), one.socket.directory);
  return door;
}

// Nothing when there is none; `others` is told of sockets that are not trusted, or do not answer.
std::optional<Door> find_elsewhere(const protocol::Instance& instance, std::string& others) {
  std::optional<Asked> found;
  for (const auto& asked : ask(other_sockets(instance), search_limit)) {
    if (asked.reached == Reached::forbidden) others += asked.text + ", and ";
    if (asked.answer == Answer::silent) others += asked.socket.path() + " does not answer, and ";
    if (asked.answer != Answer::master) continue;
    if (found) return ambiguous(*found, asked, instance);
    found = asked;
  }
  if (!found) return std::nullopt;
  return Door{connect_trusted(found->socket, Deadline::after(search_limit)), found->socket.path(), false};
}

}  // namespace

Notice& notice() {
  static Notice wanted;
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

Door open_door(const Client::Where& where, const protocol::Instance& instance, const Deadline& deadline) {
  std::string no_socket;
  if (means_this_machine(where.address)) {
    Door local{connect_unix(instance.socket_path(), deadline), instance.socket_path(), false};
    // Of a place that nobody has named it means little that it is somebody else's.
    const auto reached = local.attempt.reached;
    if (reached != Reached::nobody && (reached != Reached::forbidden || !where.runtime_dir.empty()))
      return local;
    no_socket = local.attempt.text + ", and ";
    if (where.runtime_dir.empty())
      if (auto found = find_elsewhere(instance, no_socket)) return std::move(*found);
  }
  Door tcp{connect_tcp(where.address, where.port, deadline), endpoint(where.address, where.port), true};
  tcp.attempt.text = no_socket + tcp.attempt.text;
  return tcp;
}

}  // namespace liveswap::client
