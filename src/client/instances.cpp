#include "client/instances.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <tuple>

#include "client/answer.hpp"
#include "client/connection.hpp"
#include "client/door.hpp"
#include "protocol/message.hpp"

namespace liveswap::client {
namespace {

void add_sockets_in(const std::string& directory, std::vector<ControlSocket>& sockets) {
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(directory, failed)) {
    const std::string name = entry.path().filename();
    std::uint16_t port = 0;
    const auto [end, wrong] = std::from_chars(name.data(), name.data() + name.size(), port);
    if (wrong == std::errc{} && port > 0 && std::string_view(end) == ".sock")
      sockets.push_back({directory, port});
  }
}

std::vector<ControlSocket> all_sockets() {
  auto sockets = control_sockets();
  for (const auto& directory : usual_directories()) add_sockets_in(directory, sockets);
  add_sockets_in(protocol::locate_instance(0, "", "").runtime_dir, sockets);
  std::sort(sockets.begin(), sockets.end(), [](const auto& a, const auto& b) {
    return std::tie(a.port, a.directory) < std::tie(b.port, b.directory);
  });
  sockets.erase(std::unique(sockets.begin(), sockets.end()), sockets.end());
  std::erase_if(sockets, [](const auto& socket) { return !is_liveswap(socket); });
  return sockets;
}

std::string status_of(UniqueFd fd, const Deadline& deadline) {
  protocol::Command command;
  command.verb = protocol::Verb::status;
  Connection connection(std::move(fd), deadline);
  if (connection.send(protocol::to_line(command)) == Connection::Did::late) return "";
  std::string line;
  while (connection.receive(line) == Connection::Did::well) {
    if (kind_of(line) == LineKind::event) continue;
    const Outcome outcome = kind_of(line) == LineKind::answer ? outcome_of(line) : Outcome{failed, ""};
    return outcome.status == ok ? outcome.text : "";
  }
  return "";
}

}  // namespace

Instances running_instances(std::chrono::milliseconds limit) {
  Instances instances;
  for (const auto& socket : all_sockets()) {
    const auto deadline = Deadline::after(limit);
    Attempt attempt = connect_trusted(socket, deadline);
    if (attempt.reached == Reached::forbidden) ++instances.hidden;
    if (attempt.reached != Reached::connected) continue;
    RunningInstance one{socket, attempt.user, attempt.process, {}};
    one.status = status_of(std::move(attempt.fd), deadline);
    instances.seen.push_back(std::move(one));
  }
  return instances;
}

}  // namespace liveswap::client
