#include "master/app_listeners/listener_options.hpp"

#include <fmt/format.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>

namespace liveswap::master {
namespace {

constexpr std::size_t value_limit = 256;

struct Known {
  int level, name;
  const char* text;
};

#define OPTION(level, name) \
  { level, name, #name }
constexpr Known readable[] = {
    OPTION(SOL_SOCKET, SO_REUSEADDR),
    OPTION(SOL_SOCKET, SO_REUSEPORT),
    OPTION(SOL_SOCKET, SO_BUF_LOCK),
    OPTION(SOL_SOCKET, SO_KEEPALIVE),
    OPTION(SOL_SOCKET, SO_LINGER),
    OPTION(SOL_SOCKET, SO_RCVBUF),
    OPTION(SOL_SOCKET, SO_SNDBUF),
    OPTION(SOL_SOCKET, SO_RCVLOWAT),
    OPTION(SOL_SOCKET, SO_RCVTIMEO),
    OPTION(SOL_SOCKET, SO_SNDTIMEO),
    OPTION(SOL_SOCKET, SO_OOBINLINE),
    OPTION(SOL_SOCKET, SO_PRIORITY),
    OPTION(SOL_SOCKET, SO_DONTROUTE),
    OPTION(SOL_SOCKET, SO_BINDTOIFINDEX),
    OPTION(SOL_SOCKET, SO_INCOMING_CPU),
    OPTION(SOL_SOCKET, SO_BUSY_POLL),
    OPTION(SOL_SOCKET, SO_MARK),
    OPTION(SOL_SOCKET, SO_PASSCRED),
    OPTION(SOL_SOCKET, SO_TIMESTAMP),
    OPTION(SOL_SOCKET, SO_ZEROCOPY),
    OPTION(SOL_SOCKET, SO_MAX_PACING_RATE),
    OPTION(IPPROTO_TCP, TCP_NODELAY),
    OPTION(IPPROTO_TCP, TCP_MAXSEG),
    OPTION(IPPROTO_TCP, TCP_CORK),
    OPTION(IPPROTO_TCP, TCP_KEEPIDLE),
    OPTION(IPPROTO_TCP, TCP_KEEPINTVL),
    OPTION(IPPROTO_TCP, TCP_KEEPCNT),
    OPTION(IPPROTO_TCP, TCP_SYNCNT),
    OPTION(IPPROTO_TCP, TCP_LINGER2),
    OPTION(IPPROTO_TCP, TCP_DEFER_ACCEPT),
    OPTION(IPPROTO_TCP, TCP_WINDOW_CLAMP),
    OPTION(IPPROTO_TCP, TCP_QUICKACK),
    OPTION(IPPROTO_TCP, TCP_CONGESTION),
    OPTION(IPPROTO_TCP, TCP_USER_TIMEOUT),
    OPTION(IPPROTO_TCP, TCP_FASTOPEN),
    OPTION(IPPROTO_TCP, TCP_NOTSENT_LOWAT),
    OPTION(IPPROTO_TCP, TCP_SAVE_SYN),
    OPTION(IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE),
    OPTION(IPPROTO_IP, IP_TOS),
    OPTION(IPPROTO_IP, IP_TTL),
    OPTION(IPPROTO_IP, IP_MINTTL),
    OPTION(IPPROTO_IP, IP_TRANSPARENT),
    OPTION(IPPROTO_IP, IP_FREEBIND),
    OPTION(IPPROTO_IP, IP_MTU_DISCOVER),
    OPTION(IPPROTO_IP, IP_PKTINFO),
    OPTION(IPPROTO_IP, IP_RECVTTL),
    OPTION(IPPROTO_IP, IP_RECVTOS),
    OPTION(IPPROTO_IPV6, IPV6_TCLASS),
    OPTION(IPPROTO_IPV6, IPV6_UNICAST_HOPS),
    OPTION(IPPROTO_IPV6, IPV6_MINHOPCOUNT),
    OPTION(IPPROTO_IPV6, IPV6_MTU_DISCOVER),
    OPTION(IPPROTO_IPV6, IPV6_TRANSPARENT),
    OPTION(IPPROTO_IPV6, IPV6_FREEBIND),
    OPTION(IPPROTO_IPV6, IPV6_RECVPKTINFO),
};
constexpr Known others[] = {
    OPTION(SOL_SOCKET, SO_BINDTODEVICE),
    OPTION(SOL_SOCKET, SO_ATTACH_FILTER),
    OPTION(SOL_SOCKET, SO_ATTACH_BPF),
    OPTION(SOL_SOCKET, SO_LOCK_FILTER),
    OPTION(IPPROTO_TCP, TCP_MD5SIG),
    OPTION(IPPROTO_TCP, TCP_ULP),
    OPTION(SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF),
    OPTION(SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF),
    OPTION(IPPROTO_TCP, TCP_FASTOPEN_KEY),
};
#undef OPTION

const Known* find(const OptionName& option) {
  for (const auto list : {std::span<const Known>(readable), std::span<const Known>(others)})
    for (const Known& known : list)
      if (known.level == option.level && known.name == option.name) return &known;
  return nullptr;
}

bool is(const OptionName& option, int level, int name) {
  return option.level == level && option.name == name;
}

bool is_filter(const OptionName& option) {
  return is(option, SOL_SOCKET, SO_ATTACH_FILTER) || is(option, SOL_SOCKET, SO_ATTACH_BPF);
}

bool is_buffer(const OptionName& option) {
  return is(option, SOL_SOCKET, SO_RCVBUF) || is(option, SOL_SOCKET, SO_SNDBUF);
}

// Whether the option is the SO_REUSEPORT group's program, which distributes connections. The master replaces
// an application's program by its own (Listeners::steer).
bool is_dealer(const OptionName& option) {
  return is(option, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF) || is(option, SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF);
}

int set(int fd, const OptionName& option, const std::string& value) {
  return ::setsockopt(fd, option.level, option.name, value.data(), static_cast<socklen_t>(value.size()));
}

// A key of length 0 removes that address' key.
int remove_key(int fd, const OptionName& option) {
  tcp_md5sig key{};
  std::memcpy(&key.tcpm_addr, option.tag.data(), std::min(option.tag.size(), sizeof key.tcpm_addr));
  // ENOENT: already removed, for example by another worker.
  return ::setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &key, sizeof key) == 0 || errno == ENOENT ? 0 : -1;
}

int detach(int fd, int what) {
  const int unused = 0;
  return ::setsockopt(fd, SOL_SOCKET, what, &unused, sizeof unused) == 0 || errno == ENOENT ? 0 : -1;
}

// What TCP_MAXSEG reads on a listener where none was set (TCP_MSS_DEFAULT).
constexpr int default_segment = 536;

// The value to set so that `value` is read: the kernel doubles buffer sizes (socket(7)), and reports a
// default segment size.
std::string as_set(const OptionName& option, std::string value) {
  int number = 0;
  if (value.size() != sizeof number) return value;
  std::memcpy(&number, value.data(), sizeof number);
  if (is_buffer(option)) number /= 2;
  if (is(option, IPPROTO_TCP, TCP_MAXSEG) && number == default_segment) number = 0;
  std::memcpy(value.data(), &number, sizeof number);
  return value;
}

}  // namespace

std::string text_of(const OptionName& option) {
  const Known* known = find(option);
  return known ? known->text : fmt::format("option {} of level {}", option.name, option.level);
}

OptionValue option_of(int fd, const OptionName& option) {
  char value[value_limit];
  socklen_t size = sizeof value;
  // getsockopt() either fails for these or returns a value that setsockopt() does not accept.
  if (is_filter(option) || is_dealer(option) || is(option, IPPROTO_TCP, TCP_MD5SIG)) return std::nullopt;
  if (::getsockopt(fd, option.level, option.name, value, &size) != 0) return std::nullopt;
  return std::string(value, size);
}

bool is_known(const OptionName& option) { return find(option) != nullptr; }

// Setting a buffer size locks the size against the kernel's tuning, until SO_BUF_LOCK is cleared.
std::vector<OptionName> set_with(const OptionName& option) {
  if (!is_buffer(option)) return {option};
  return {option, OptionName{SOL_SOCKET, SO_BUF_LOCK}};
}

OptionValues options_of(int fd) {
  OptionValues found;
  for (const auto& known : readable) {
    const OptionName option{known.level, known.name};
    if (auto value = option_of(fd, option)) found[option] = std::move(value);
  }
  return found;
}

Result<void> put_back(int fd, const OptionName& option, const OptionValue& value) {
  int done = -1;
  errno = ENOPROTOOPT;
  if (is(option, IPPROTO_TCP, TCP_MD5SIG)) done = remove_key(fd, option);
  else if (is_filter(option)) done = detach(fd, SO_DETACH_FILTER);
  else if (is_dealer(option)) done = detach(fd, SO_DETACH_REUSEPORT_BPF);
  else if (is(option, SOL_SOCKET, SO_BINDTODEVICE)) done = set(fd, option, "");
  else if (value) done = set(fd, option, as_set(option, *value));
  if (done != 0) return fail(text_of(option) + ": " + error_text(errno));
  return {};
}

}  // namespace liveswap::master
