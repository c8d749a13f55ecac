#include "app_listeners_fixture.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <utility>

namespace liveswap::test {
namespace {

master::Listeners open(const std::vector<Listener>& lent, ListenMode mode, unsigned slots) {
  auto opened = master::Listeners::open(lent, mode, 64, slots);
  REQUIRE_MESSAGE(opened.has_value(), (opened ? "" : opened.error().text));
  return std::move(*opened);
}

}  // namespace

Where Where::v4(std::uint16_t port, std::uint32_t host) {
  Where where;
  auto& in = reinterpret_cast<sockaddr_in&>(where.storage);
  in.sin_family = AF_INET;
  in.sin_port = htons(port);
  in.sin_addr.s_addr = htonl(host);
  where.size = sizeof in;
  return where;
}

Where Where::v6(std::uint16_t port, const char* host, bool v6only) {
  Where where;
  where.domain = AF_INET6;
  where.v6only = v6only;
  auto& in = reinterpret_cast<sockaddr_in6&>(where.storage);
  in.sin6_family = AF_INET6;
  in.sin6_port = htons(port);
  REQUIRE(::inet_pton(AF_INET6, host, &in.sin6_addr) == 1);
  where.size = sizeof in;
  return where;
}

Where Where::udp(std::uint16_t port) {
  Where where = v4(port);
  where.type = SOCK_DGRAM;
  return where;
}

Where Where::path(const std::string& path, int type) {
  Where where;
  where.domain = AF_UNIX;
  where.type = type;
  auto& un = reinterpret_cast<sockaddr_un&>(where.storage);
  un.sun_family = AF_UNIX;
  REQUIRE(path.size() <= sizeof un.sun_path);
  std::memcpy(un.sun_path, path.data(), path.size());
  where.size = static_cast<socklen_t>(std::min(offsetof(sockaddr_un, sun_path) + path.size() + 1, sizeof un));
  return where;
}

Where Where::abstract(const std::string& name) {
  Where where = path("x" + name);
  reinterpret_cast<sockaddr_un&>(where.storage).sun_path[0] = '\0';
  where.size -= 1;
  return where;
}

std::string Where::text() const {
  liveswap_bind said{};
  said.domain = domain;
  said.type = type;
  said.protocol = domain == AF_UNIX ? 0 : type == SOCK_DGRAM ? IPPROTO_UDP : IPPROTO_TCP;
  said.v6only = v6only;
  said.umask = umask;
  said.address_size = size;
  std::memcpy(said.address, &storage, sizeof said.address);
  return {reinterpret_cast<const char*>(&said), sizeof said};
}

UniqueFd socket_for(const Where& where) {
  auto fd = UniqueFd::adopt(::socket(where.domain, where.type | SOCK_CLOEXEC, 0));
  REQUIRE(fd);
  const int only = where.v6only;
  if (where.domain == AF_INET6)
    REQUIRE(::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) == 0);
  return fd;
}

std::uint64_t cookie(int fd) { return master::cookie_of(fd); }

std::string cookie_text(int fd) {
  const std::uint64_t number = cookie(fd);
  return {reinterpret_cast<const char*>(&number), sizeof number};
}

std::uint16_t port_of(int fd) {
  const auto address = master::address_of(fd);
  return ntohs(reinterpret_cast<const sockaddr_in&>(address.storage).sin_port);
}

UniqueFd connect_to(const Where& where) {
  auto fd = UniqueFd::adopt(::socket(where.domain, where.type | SOCK_CLOEXEC, 0));
  REQUIRE(fd);
  if (::connect(fd.get(), where.get(), where.size) != 0) fd.reset();
  return fd;
}

UniqueFd accept_from(int listener) {
  pollfd wait{listener, POLLIN, 0};
  if (::poll(&wait, 1, 10'000) != 1) return {};
  return UniqueFd::adopt(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
}

bool has_waiting(int listener) {
  pollfd wait{listener, POLLIN, 0};
  return ::poll(&wait, 1, 0) == 1 && wait.revents == POLLIN;
}

std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& one : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

bool has_no_more_than(std::size_t count) {
  for (int i = 0; i < 10'000 && open_descriptors() > count; ++i) ::usleep(1'000);
  return open_descriptors() <= count;
}

Fixture::Fixture(unsigned slots, Rules rules, const std::vector<Listener>& lent, ListenMode mode)
    : listeners_(open(lent, mode, slots)),
      app_listeners_(listeners_, std::move(rules),
                     [this](rollout::WorkerId worker, std::uint32_t kind, std::int32_t value,
                            const master::Extras& extras) {
                       if (!has_room && kind != LIVESWAP_ANSWER) return false;
                       auto copy = UniqueFd::adopt(
                           extras.descriptor < 0 ? -1 : ::fcntl(extras.descriptor, F_DUPFD_CLOEXEC, 0));
                       told.push_back({worker, kind, value, extras.count, std::string(extras.text),
                                       std::move(copy), extras.ticket});
                       return true;
                     }) {}

void Fixture::join(rollout::WorkerId id, unsigned slot, rollout::Generation generation, bool staged,
                   pid_t pid) {
  app_listeners_.joined(id, {slot, generation, "release " + std::to_string(generation)}, pid,
                        {listeners_.hold(staged)});
  senders_[id] = {pid, ::getuid(), ::getgid()};
}

void Fixture::speaks_as(rollout::WorkerId id, const master::Sender& sender) { senders_[id] = sender; }

void Fixture::leave(rollout::WorkerId id) { app_listeners_.left(id); }

void Fixture::ready(rollout::WorkerId id) { turned_.push_back({id, true, false}); }

void Fixture::drain(rollout::WorkerId id) { turned_.push_back({id, false, true}); }

int Fixture::ask(rollout::WorkerId id, std::uint32_t kind, const std::string& text, std::uint64_t count,
                 UniqueFd fd, bool crippled) {
  return answer_to(id, {kind, ++last_number_, count, text, std::move(fd), crippled, senders_[id]});
}

int Fixture::ask_posthumously(rollout::WorkerId id, std::uint32_t kind, const std::string& text,
                              UniqueFd fd) {
  return answer_to(id, {kind, ++last_number_, 0, text, std::move(fd), false, senders_[id], true});
}

int Fixture::answer_to(rollout::WorkerId id, master::Frame frame) {
  REQUIRE(app_listeners_.take_frame(id, frame));
  for (const Told& one : told)
    if (one.kind == LIVESWAP_ANSWER && one.value == last_number_ && one.worker == id)
      return static_cast<int>(one.count);
  FAIL("no answer");
  return -1;
}

void Fixture::tell(rollout::WorkerId id, std::uint32_t kind, const std::string& text, UniqueFd fd) {
  master::Frame frame{kind, 0, 0, text, std::move(fd), false, senders_[id]};
  REQUIRE(app_listeners_.take_frame(id, frame));
}

Fixture::Held Fixture::bind(rollout::WorkerId id, const Where& where) {
  Held held;
  held.fd = socket_for(where);
  auto sent = UniqueFd::adopt(::fcntl(held.fd.get(), F_DUPFD_CLOEXEC, 0));
  held.error = ask(id, LIVESWAP_BIND, where.text(), 0, std::move(sent));
  held.given = static_cast<bool>(told.back().descriptor);
  if (held.given) held.fd = std::move(told.back().descriptor);
  return held;
}

int Fixture::listen(rollout::WorkerId id, const Held& held, int backlog) {
  return ask(id, LIVESWAP_LISTEN, cookie_text(held.fd.get()), static_cast<std::uint64_t>(backlog));
}

UniqueFd Fixture::serve(rollout::WorkerId id, const Where& where) {
  auto held = bind(id, where);
  REQUIRE(held.error == 0);
  if (where.type != SOCK_DGRAM) REQUIRE(listen(id, held) == 0);
  wait_on(id, held.fd.get());
  return std::move(held.fd);
}

void Fixture::wait_on(rollout::WorkerId id, int fd) { tell(id, LIVESWAP_WAITS, cookie_text(fd)); }

std::optional<rollout::AwaitedListeners::Outlook> Fixture::judge(rollout::WorkerId id) {
  look(0, false);
  for (auto& one : app_listeners_.judge(now_))
    if (one.worker == id) return std::move(one.outlook);
  return std::nullopt;
}

void Fixture::close(rollout::WorkerId id, UniqueFd fd) {
  const auto text = cookie_text(fd.get());
  fd.reset();
  tell(id, LIVESWAP_UNLISTEN, text);
}

void Fixture::look(int ms, bool quiet) {
  // In steps: the first look() starts the grace periods.
  for (int left = ms; left > 0; left -= 100) {
    app_listeners_.look(now_, std::exchange(turned_, {}), quiet);
    now_ += rollout::Time{std::min(left, 100)};
  }
  app_listeners_.look(now_, std::exchange(turned_, {}), quiet);
}

std::vector<std::string> Fixture::names() const {
  std::vector<std::string> found;
  for (const auto& one : listeners_.bound())
    if (one.application) found.push_back(one.name);
  return found;
}

}  // namespace liveswap::test
