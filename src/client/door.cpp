#include "client/door.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/error.hpp"

namespace liveswap::client {
namespace {

// A process that takes no connections must not hold up those that look for others.
constexpr std::chrono::milliseconds elsewhere_limit{1'000};

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
    if (socket.directory != instance.runtime_dir &&
        std::find(others.begin(), others.end(), socket) == others.end())
      others.push_back(std::move(socket));
  return others;
}

Door ambiguous(const Door& one, const Door& other, const protocol::Instance& instance) {
  const auto named = [](const Door& door) {
    return fmt::format("{} of {}", door.name, user_name(door.attempt.user));
  };
  Door door{{}, one.name, false};
  door.attempt.reached = Reached::forbidden;
  door.attempt.text = fmt::format(
      "more than one master is on port {}: {}, and {}; choose one: --runtime-dir {}", instance.port,
      named(one), named(other), std::filesystem::path(one.name).parent_path().string());
  return door;
}

// Nothing when there is none; `distrusted` is told of sockets that are there and are not trusted.
std::optional<Door> find_elsewhere(const protocol::Instance& instance, std::string& distrusted) {
  std::optional<Door> found;
  for (const auto& socket : other_sockets(instance)) {
    Door door{connect_trusted(socket, Deadline::after(elsewhere_limit)), socket.path(), false};
    if (door.attempt.reached == Reached::forbidden) distrusted += door.attempt.text + ", and ";
    if (door.attempt.reached != Reached::connected) continue;
    if (found) return ambiguous(*found, door, instance);
    found = std::move(door);
  }
  return found;
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

Attempt connect_trusted(const ControlSocket& socket, const Deadline& deadline) {
  const auto distrust = [&](const std::string& why) {
    return Attempt{Reached::forbidden, UniqueFd(), fmt::format("{} is not trusted: {}", socket.path(), why)};
  };
  struct stat info {};
  if (::lstat(socket.directory.c_str(), &info) != 0)
    return {errno == EACCES ? Reached::forbidden : Reached::nobody, UniqueFd(),
            os_error("look at", socket.directory, errno).text};
  struct stat socket_info {};
  if (!S_ISDIR(info.st_mode) || (::lstat(socket.path().c_str(), &socket_info) != 0 && errno == ENOENT))
    return {Reached::nobody, UniqueFd(), "no socket " + socket.path()};
  if (info.st_mode & 0022) return distrust("others may write to its directory");
  Attempt attempt = connect_unix(socket.path(), deadline);
  if (attempt.reached == Reached::connected && attempt.user != info.st_uid)
    return distrust(fmt::format("its directory belongs to user {}, and a process of user {} listens",
                                info.st_uid, attempt.user));
  return attempt;
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
