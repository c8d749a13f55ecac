#include "support/sessions.hpp"

#include <cctype>
#include <optional>
#include <utility>

#include "support/file.hpp"

namespace scenario {
namespace {

constexpr unsigned long split_every = 10;
constexpr milliseconds between_halves{5};
constexpr milliseconds answer_limit{5'000};
const std::string first_half = "GET / HTTP/1.1\r\nHo", second_half = "st: localhost\r\n\r\n";

std::optional<std::string> read_chunks(Connection& connection) {
  std::string body;
  for (;;) {
    const std::string line = connection.read_line(answer_limit);
    if (!line.ends_with("\r\n")) return std::nullopt;
    const std::size_t size = std::stoul(line, nullptr, 16);
    const std::string chunk = connection.read_exactly(size + 2, answer_limit);
    if (!chunk.ends_with("\r\n")) return std::nullopt;
    if (size == 0) return body;
    body += chunk.substr(0, size);
  }
}

// The body; nothing: no whole answer.
std::optional<std::string> read_answer(Connection& connection) {
  std::size_t length = 0;
  bool status = false, chunks = false;
  for (std::string line; (line = connection.read_line(answer_limit)) != "\r\n";) {
    if (!line.ends_with("\n")) return std::nullopt;
    for (char& c : line) c = static_cast<char>(std::tolower(c));
    if (line.starts_with("http/1.1 200") || line.starts_with("http/1.1 404")) status = true;
    if (line.starts_with("transfer-encoding: chunked")) chunks = true;
    if (line.starts_with("content-length:")) length = std::stoul(line.substr(15));
  }
  if (status && chunks) return read_chunks(connection);
  if (!status || length == 0) return std::nullopt;
  return connection.read_exactly(length, answer_limit);
}

}  // namespace

Sessions::Sessions(std::vector<std::string> addresses, Manner manner) : manner_(manner) {
  for (unsigned i = 0; i < manner.clients; ++i)
    threads_.emplace_back([this, address = addresses[i % addresses.size()]] { run(address); });
}

Sessions::~Sessions() { stop(); }

std::map<std::string, unsigned> Sessions::stop() {
  stopping_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  return failures_;
}

bool Sessions::all_began(milliseconds limit) const {
  return eventually([this] { return began_ >= manner_.clients; }, limit);
}

unsigned long Sessions::answers_of(const std::string& version) {
  const std::lock_guard held(lock_);
  return versions_[version];
}

void Sessions::note(const std::string& failure) {
  const std::lock_guard held(lock_);
  ++failures_[failure];
}

bool Sessions::ask(Connection& connection, unsigned long number) {
  bool sent = connection.send(first_half);
  if (number % split_every == 0) let_pass(between_halves);
  sent = sent && connection.send(second_half);
  const auto body = read_answer(connection);
  const std::string version = !body                         ? ""
                              : contains(*body, manner_.v1) ? "v1"
                              : contains(*body, manner_.v2) ? "v2"
                                                            : "";
  if (version.empty()) {
    note(std::string(sent ? "no answer to" : "could not send") + " request " + std::to_string(number) +
         " of a connection" + (body ? ": " + *body : ""));
    return false;
  }
  const std::lock_guard held(lock_);
  ++versions_[version];
  ++answers_;
  return true;
}

void Sessions::run(const std::string& address) {
  bool first = true;
  for (unsigned long all = 0; !stopping_;) {
    auto connection = Connection::attempt(address);
    if (!connection) {
      note("could not connect");
      let_pass(manner_.pause);
      continue;
    }
    for (unsigned i = 0; (manner_.requests == 0 || i < manner_.requests) && !stopping_; ++i) {
      if (!ask(*connection, manner_.requests == 0 ? i : all++)) break;
      if (std::exchange(first, false)) ++began_;
      let_pass(manner_.pause);
    }
  }
}

}  // namespace scenario
