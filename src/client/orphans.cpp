#include "client/orphans.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "base/text.hpp"
#include "client/command_line.hpp"
#include "json/fields.hpp"
#include "json/parse.hpp"
#include "protocol/keeper.hpp"

namespace liveswap::client {
namespace {

using protocol::Json;

// Before the document (docs/reference/state-file.md).
constexpr off_t header_size = 88;
constexpr off_t most_bytes = off_t{256} * 1024 * 1024;

struct Orphans {
  std::vector<pid_t> workers;
  std::string path;
  std::int64_t generation = 0;
  std::int64_t left_ms = 0;  // negative: without a limit
};

Json document_in(int file) {
  struct stat info {};
  if (::fstat(file, &info) != 0 || info.st_size <= header_size || info.st_size > most_bytes) return nullptr;
  std::string text(static_cast<std::size_t>(info.st_size - header_size), '\0');
  if (::pread(file, text.data(), text.size(), header_size) != static_cast<ssize_t>(text.size()))
    return nullptr;
  return json::parse_or_null(text);
}

std::optional<Orphans> orphans_in(const protocol::KeeperFrame& frame) {
  if (frame.head.kind != LIVESWAP_KEEPER_STATE || frame.descriptors.size() != 1) return std::nullopt;
  const Json document = document_in(frame.descriptors.front().get());
  if (!document.is_object()) return std::nullopt;
  Orphans found;
  const Json& engine = json::member(document, "engine");
  found.path = json::text_or_empty(json::member(engine, "release"), "path");
  found.generation = json::number(engine, "generation").value_or(0);
  found.left_ms = frame.head.value;
  for (const Json& worker : json::list(document, "workers")) {
    const auto pid = static_cast<pid_t>(json::number(worker, "pid", 2, INT32_MAX).value_or(0));
    if (pid > 0 && (::kill(pid, 0) == 0 || errno == EPERM)) found.workers.push_back(pid);
  }
  return found;
}

std::optional<protocol::KeeperFrame> ask(const std::string& state_dir, liveswap_keeper_kind question) {
  const auto link = protocol::connect_keeper(state_dir);
  if (!link || !*link) return std::nullopt;
  if (!protocol::send_to_keeper(link->get(), {question, 0, 0}, "", nullptr, 0)) return std::nullopt;
  bool gone = false;
  return protocol::receive_from_keeper(link->get(), true, gone);
}

std::string named(const Orphans& found) {
  return fmt::format("{} of a killed master (pid {}; generation {}, {})",
                     plural(found.workers.size(), "worker"), fmt::join(found.workers, ", "), found.generation,
                     found.path);
}

}  // namespace

std::optional<Outcome> ask_orphans(const Client::Where& where, const protocol::Instance& instance,
                                   protocol::Verb verb) {
  const auto frame = ask(instance.state_dir, LIVESWAP_KEEPER_LOOK);
  const auto found = frame ? orphans_in(*frame) : std::nullopt;
  if (!found) return std::nullopt;
  if (verb == protocol::Verb::stop || verb == protocol::Verb::die) {
    if (!ask(instance.state_dir, LIVESWAP_KEEPER_LEAVE)) return std::nullopt;
    return Outcome{ok,
                   fmt::format("no master on port {}; {} drain now, and leave", where.port, named(*found))};
  }
  const std::string until = found->left_ms < 0 ? "until a new one comes"
                                               : fmt::format("for {} s more", (found->left_ms + 999) / 1000);
  return Outcome{
      no_master,
      fmt::format("no master on port {}, but {} go on serving, {}: {} takes them over, {} has them "
                  "drain and leave",
                  where.port, named(*found), until, command_line(where, "start"),
                  command_line(where, "stop"))};
}

}  // namespace liveswap::client
