#include "client/instances.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <tuple>

#include "client/connect_master.hpp"
#include "client/status_query.hpp"
#include "protocol/instance.hpp"

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

}  // namespace

Instances running_instances(std::chrono::milliseconds limit) {
  Instances instances;
  for (auto& queried : query_sockets(all_sockets(), limit)) {
    if (queried.result == ConnectResult::forbidden) ++instances.hidden;
    if (queried.result != ConnectResult::connected || queried.answer == Answer::foreign) continue;
    instances.seen.push_back({queried.socket, queried.user, queried.process, std::move(queried.status)});
  }
  return instances;
}

}  // namespace liveswap::client
