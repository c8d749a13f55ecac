#include "support/service_manager.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>
#include <sstream>

namespace scenario {
namespace {

using liveswap::UniqueFd;

sockaddr_un unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  REQUIRE(path.size() < sizeof address.sun_path);
  path.copy(address.sun_path, path.size());
  if (path.front() == '@') address.sun_path[0] = '\0';
  return address;
}

UniqueFd bind_unix(const std::string& path, int type) {
  const auto address = unix_address(path);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  auto fd = UniqueFd::adopt(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0);
  return fd;
}

std::string next_address(const TempDir& dir, bool abstract) {
  static int number = 0;
  const auto name = "notify-" + std::to_string(::getpid()) + "-" + std::to_string(++number);
  return abstract ? "@liveswap-test-" + name : dir / name;
}

bool is_same_file(int one, int other) {
  struct stat a {
  }, b{};
  return ::fstat(one, &a) == 0 && ::fstat(other, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

}  // namespace

ServiceManager::ServiceManager(Scenario& scenario, bool abstract)
    : address_(next_address(scenario.dir, abstract)),
      socket_(bind_unix(address_, SOCK_DGRAM)),
      dir_(scenario.dir) {
  const int on = 1;
  REQUIRE(::setsockopt(socket_.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0);
}

// The shell knows the pid of the service before the service does, and places the descriptors.
Process ServiceManager::start(const Site& site, const Words& words) {
  receive();
  constexpr int above_all = 200;
  std::string names, places;
  std::vector<UniqueFd> inherited;
  const auto pass = [&](const std::string& name, const UniqueFd& fd) {
    names += (names.empty() ? "" : ":") + name;
    inherited.push_back(UniqueFd::adopt(::fcntl(fd.get(), F_DUPFD, above_all)));
    const auto source = std::to_string(inherited.back().get());
    places += " " + std::to_string(2 + inherited.size()) + "<&" + source + " " + source + "<&-";
  };
  for (const auto& [name, fd] : passed) pass(name, fd);
  for (const auto& [name, fd] : store_) pass(name, fd);
  auto setup = site.command("start", words);
  setup.command =
      Words{"/bin/bash", "-c",
            "export LISTEN_PID=$$ WATCHDOG_PID=${WATCHDOG_PID:-$$}; exec" + places + "; exec \"$@\"",
            "service"} +
      setup.command;
  setup.environment["NOTIFY_SOCKET"] = address_;
  setup.environment["LISTEN_FDS"] = std::to_string(inherited.size());
  setup.environment["LISTEN_FDNAMES"] = names;
  for (const auto& [name, value] : environment) setup.environment[name] = value;
  Process service(dir_, setup);
  main_ = service.pid();
  return service;
}

void ServiceManager::receive() {
  for (;;) {
    char text[4096];
    iovec part{text, sizeof text};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred)) + CMSG_SPACE(64 * sizeof(int))];
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t size = ::recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (size < 0) return;
    pid_t sender = 0;
    std::vector<UniqueFd> fds;
    for (cmsghdr* one = CMSG_FIRSTHDR(&message); one; one = CMSG_NXTHDR(&message, one)) {
      if (one->cmsg_type == SCM_CREDENTIALS) {
        ucred who{};
        std::memcpy(&who, CMSG_DATA(one), sizeof who);
        sender = who.pid;
      }
      if (one->cmsg_type != SCM_RIGHTS) continue;
      for (std::size_t at = 0; CMSG_LEN(at + sizeof(int)) <= one->cmsg_len; at += sizeof(int)) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(one) + at, sizeof fd);
        fds.push_back(UniqueFd::adopt(fd));
      }
    }
    take({text, static_cast<std::size_t>(size)}, sender, std::move(fds));
  }
}

void ServiceManager::take(const std::string& text, pid_t sender, std::vector<UniqueFd> fds) {
  if (sender != main_) {
    ++foreign_;
    return;
  }
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  std::string name = "stored";
  for (const auto& line : lines) {
    if (line.starts_with("FDNAME=")) name = line.substr(7);
    if (line.starts_with("MAINPID=")) main_ = std::stoi(line.substr(8));
  }
  const auto has = [&](const char* line) {
    return std::find(lines.begin(), lines.end(), line) != lines.end();
  };
  if (has("FDSTOREREMOVE=1")) std::erase_if(store_, [&](const auto& one) { return one.first == name; });
  if (has("FDSTORE=1"))
    for (auto& fd : fds) {
      const bool is_known = std::any_of(store_.begin(), store_.end(), [&](const auto& one) {
        return is_same_file(one.second.get(), fd.get());
      });
      if (!is_known) store_.emplace_back(name, std::move(fd));
    }
  lines_.insert(lines_.end(), lines.begin(), lines.end());
}

std::vector<std::string> ServiceManager::values(const std::string& name) {
  receive();
  std::vector<std::string> found;
  for (const auto& line : lines_)
    if (line.starts_with(name + "=")) found.push_back(line.substr(name.size() + 1));
  return found;
}

// Also what has been sent and not yet received: of a service that has ended, for example.
void ServiceManager::forget() {
  receive();
  lines_.clear();
}

std::string ServiceManager::last(const std::string& name) {
  const auto all = values(name);
  return all.empty() ? "" : all.back();
}

std::vector<std::string> ServiceManager::order() {
  receive();
  std::vector<std::string> found;
  for (const auto& line : lines_)
    if (const auto name = line.substr(0, line.find('=')); name != "STATUS") found.push_back(name);
  return found;
}

bool ServiceManager::says(const std::string& line, milliseconds limit) {
  return eventually(
      [&] {
        receive();
        return std::find(lines_.begin(), lines_.end(), line) != lines_.end();
      },
      limit);
}

std::vector<std::string> ServiceManager::stored() {
  receive();
  std::vector<std::string> names;
  for (const auto& [name, fd] : store_) names.push_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

pid_t ServiceManager::main_pid() {
  receive();
  return main_;
}

UniqueFd listen_at(const std::string& address) {
  const auto colon = address.rfind(':');
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(colon + 1))));
  REQUIRE(::inet_pton(AF_INET, address.substr(0, colon).c_str(), &where.sin_addr) == 1);
  auto fd = UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0);
  REQUIRE(::listen(fd.get(), 1024) == 0);
  return fd;
}

UniqueFd listen_at_path(const std::string& path) {
  auto fd = bind_unix(path, SOCK_STREAM);
  REQUIRE(::listen(fd.get(), 1024) == 0);
  return fd;
}

}  // namespace scenario
