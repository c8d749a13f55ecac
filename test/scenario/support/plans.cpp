#include "support/plans.hpp"

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>

#include "base/unique_fd.hpp"

namespace scenario {
namespace {

liveswap::UniqueFd datagram_socket(const Port& port) {
  auto fd = liveswap::UniqueFd::adopt(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port.number());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  return fd;
}

// "": no answer within the limit.
std::string ask(int fd, int limit_ms) {
  char answer[16];
  pollfd wait{fd, POLLIN, 0};
  if (::send(fd, "?", 1, 0) != 1 || ::poll(&wait, 1, limit_ms) != 1) return "";
  const ssize_t size = ::recv(fd, answer, sizeof answer, 0);
  return size > 0 ? std::string(answer, static_cast<std::size_t>(size)) : "";
}

}  // namespace

std::string plan_of(const Scenario& scenario, const std::string& name, const Words& lines) {
  const std::string directory = scenario.dir.directory(name);
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  for (const char* version : {"v1", "v2"}) write_file(directory + "/" + version + ".plan", text);
  return directory;
}

Words all_listeners(const Instance& app) {
  Words found;
  const Json status = app.status();
  for (const auto& one : status["listeners"]) found.push_back(one.dump());
  std::sort(found.begin(), found.end());
  return found;
}

bool is_chosen(const Json& listener, const std::vector<const Port*>& others) {
  const std::string address = listener["address"];
  return listener.value("application", false) && address.starts_with("127.0.0.1:") &&
         std::none_of(others.begin(), others.end(),
                      [&](const Port* one) { return address == one->address(); });
}

std::string datagram_answer(const Port& port) {
  const auto fd = datagram_socket(port);
  for (int attempt = 0; attempt < 20; ++attempt)
    if (auto answer = ask(fd.get(), 500); !answer.empty()) return answer;
  return "";
}

Datagrams::Datagrams(const Port& port)
    : thread_([this, fd = std::make_shared<liveswap::UniqueFd>(datagram_socket(port))] { run(fd->get()); }) {}

Datagrams::~Datagrams() {
  if (thread_.joinable()) stop();
}

void Datagrams::run(int fd) {
  while (!is_stopping_) {
    ++(ask(fd, 5'000).empty() ? unanswered_ : answers_);
    let_pass(milliseconds(2));
  }
}

unsigned Datagrams::stop() {
  is_stopping_ = true;
  thread_.join();
  return unanswered_;
}

void check_nothing_lost(Sessions& sessions) {
  for (const auto& [what, count] : sessions.stop()) FAIL_CHECK(count, " times: ", what);
  CHECK(sessions.answers() > 0);
}

}  // namespace scenario
