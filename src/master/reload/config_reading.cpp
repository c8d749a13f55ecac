#include "master/reload/config_reading.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <set>

#include "config/address.hpp"
#include "config/validate.hpp"
#include "config/yaml.hpp"
#include "json/fields.hpp"
#include "json/parse.hpp"
#include "master/receipts/history_answers.hpp"
#include "master/setup.hpp"

namespace liveswap::master {
namespace {

using Failure = ConfigReading::Failure;

// The number of liveswap-store processes that may run at once.
constexpr std::size_t config_readers = 2;

Failure failure_of(const Task::Result& result, const std::string& what) {
  if (result.kind == Task::Result::Kind::late)
    return {protocol::Refusal::timed_out,
            fmt::format("{} did not end within {} s", what, reading_limit.count() / 1000)};
  if (result.kind == Task::Result::Kind::refused) return {protocol::Refusal::usage, result.text};
  return {protocol::Refusal::failed, fmt::format("{} failed: {}", what, result.text)};
}

// The content of a memory file that liveswap-store has sent. Does not block.
Result<std::string> content_of(const spawn::ReceivedFd& file) {
  struct stat info {};
  if (!file || ::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode) || info.st_size < 0 ||
      static_cast<std::size_t>(info.st_size) > config::file_limit)
    return fail("liveswap-store gave an answer that is none");
  std::string text(static_cast<std::size_t>(info.st_size), '\0');
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t n = ::pread(file.get(), text.data() + done, text.size() - done, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail("the text that liveswap-store has read could not be taken over");
    done += static_cast<std::size_t>(n);
  }
  return text;
}

// As at the start: parse, let the command line win, validate, settle, and validate with the settled number of
// forks.
tl::expected<Options, Failure> options_of(const std::string& text, const Options& now) {
  const auto misuse = [](const std::string& why) {
    return tl::unexpected<Failure>(Failure{protocol::Refusal::usage, why});
  };
  Options fresh;
  if (const auto problems = now.read_config(text, fresh); !problems.empty()) return misuse(problems);
  auto valid = config::validate(settle_options(std::move(fresh)));
  if (!valid) return misuse(valid.error().text);
  return std::move(*valid);
}

ConfigReading::Outcome failed_by(Failure failure) { return tl::unexpected<Failure>(std::move(failure)); }

ConfigReading::Outcome no_memory() { return failed_by({protocol::Refusal::failed, {}}); }

Result<std::optional<spawn::Identity>> identity_in(const std::string& text) {
  const auto answer = json::parse_or_null(text);
  const auto user = json::number(answer, "user"), group = json::number(answer, "group");
  if (!user || !group) return fail("liveswap-store gave an answer that is none");
  spawn::Identity identity{static_cast<uid_t>(*user), static_cast<gid_t>(*group), {}};
  for (const auto& one : json::list(answer, "groups"))
    if (one.is_number_unsigned()) identity.groups.push_back(one.get<gid_t>());
  return std::optional(identity);
}

}  // namespace

ConfigReading::ConfigReading(uv_loop_t& loop, const spawn::Request& store)
    : queries_(loop, store, config_readers, reading_limit) {}

// `done` does not throw.
void ConfigReading::read(const Options& now, const std::optional<spawn::Identity>& identity, Done done) {
  std::vector<std::string> words{"read", now.config_file, std::to_string(config::file_limit)};
  queries_.ask(std::move(words), [this, now, identity, done = std::move(done)](StoreQueries::Reply& reply) {
    if (!guarded([&] { on_text(reply, now, identity, done); })) done(no_memory());
  });
}

void ConfigReading::on_text(const StoreQueries::Reply& reply, const Options& now,
                            const std::optional<spawn::Identity>& identity, const Done& done) {
  if (reply.result.kind != Task::Result::Kind::done)
    return done(failed_by(failure_of(reply.result, "reading " + now.config_file)));
  const auto text = content_of(reply.document);
  if (!text) return done(failed_by({protocol::Refusal::failed, text.error().text}));
  auto fresh = options_of(*text, now);
  if (!fresh) return done(failed_by(fresh.error()));
  complete(now, Found{std::move(*fresh), identity, {}}, done);
}

// A listener that is there already is found by its text.
void ConfigReading::complete(const Options& now, Found found, const Done& done) {
  std::set<std::string> names;
  for (const auto& listener : found.options.listen) {
    const auto address = config::parse_address(listener.address);
    const bool is_there = std::any_of(now.listen.begin(), now.listen.end(),
                                      [&](const auto& one) { return one.address == listener.address; });
    if (address && !is_there && !address->host.empty() && !config::is_ip_address(address->host))
      names.insert(address->host);
  }
  const auto go_on = [this, now, done](Found with_hosts) {
    const Options& fresh = with_hosts.options;
    const bool same = fresh.user == now.user && fresh.group == now.group;
    const bool none = fresh.user.empty() && fresh.group.empty();
    if (!same) with_hosts.identity.reset();
    if (same || none) return done(with_hosts);
    look_up(std::move(with_hosts), done);
  };
  if (names.empty()) return go_on(std::move(found));
  std::vector<std::string> words{"resolve"};
  words.insert(words.end(), names.begin(), names.end());
  queries_.ask(std::move(words), [go_on, found = std::move(found), done](StoreQueries::Reply& reply) {
    const auto pass_on = [&] {
      if (reply.result.kind != Task::Result::Kind::done)
        return done(failed_by(failure_of(reply.result, "looking up the hosts of listeners")));
      Found with_hosts = found;
      const auto answer = json::parse_or_null(reply.result.text);
      for (const auto& one : json::list(answer, "hosts"))
        with_hosts.hosts[json::text_or_empty(one, "name")] = json::text_or_empty(one, "address");
      go_on(std::move(with_hosts));
    };
    if (!guarded(pass_on)) done(no_memory());
  });
}

void ConfigReading::look_up(Found fresh, const Done& done) {
  std::vector<std::string> words{"identity", fresh.options.user, fresh.options.group};
  queries_.ask(std::move(words), [fresh = std::move(fresh), done](StoreQueries::Reply& reply) {
    const auto pass_on = [&] {
      if (reply.result.kind != Task::Result::Kind::done)
        return done(failed_by(failure_of(reply.result, "looking up user and group")));
      const auto identity = identity_in(reply.result.text);
      if (!identity) return done(failed_by({protocol::Refusal::failed, identity.error().text}));
      Found with_identity = fresh;
      with_identity.identity = *identity;
      done(with_identity);
    };
    if (!guarded(pass_on)) done(no_memory());
  });
}

}  // namespace liveswap::master
