#include "cli/instance_table.hpp"

#include <fmt/format.h>

#include "base/text.hpp"
#include "cli/fields.hpp"
#include "cli/table.hpp"
#include "json/parse.hpp"

namespace liveswap::cli {
namespace {

constexpr std::size_t id_length = 8;

Json instance_json(const client::RunningInstance& instance) {
  const Json status = json::parse_or_null(instance.status);
  Json one{{"port", instance.socket.port},
           {"pid", instance.process},
           {"uid", instance.user},
           {"user", client::user_name(instance.user)},
           {"runtime_dir", instance.socket.directory},
           {"state", nullptr}};
  for (const char* name : {"state", "head", "release_id", "generation", "forks", "uptime_ms", "version"})
    if (!member(status, name).is_null()) one[name] = member(status, name);
  return one;
}

std::string release_of(const Json& instance) {
  const std::string head = member(instance, "head").is_string() ? text(instance, "head") : "";
  if (head.empty()) return "-";
  const std::string id = member(instance, "release_id").is_string() ? text(instance, "release_id") : "";
  return id.empty() ? head : id.substr(0, id_length) + " " + head.substr(head.rfind('/') + 1);
}

}  // namespace

Json instances_json(const client::Instances& instances) {
  Json all = Json::array();
  for (const auto& instance : instances.seen) all.push_back(instance_json(instance));
  return all;
}

std::string instance_table(const Json& instances, std::size_t hidden) {
  std::vector<std::vector<std::string>> rows{
      {"PORT", "PID", "USER", "STATE", "UPTIME", "RELEASE", "RUNTIME DIRECTORY"}};
  for (const Json& one : instances)
    rows.push_back({text(one, "port"), text(one, "pid"), text(one, "user"),
                    member(one, "state").is_string() ? text(one, "state") : "no answer",
                    number(one, "uptime_ms") ? time(one, "uptime_ms") : "-", release_of(one),
                    text(one, "runtime_dir")});
  std::string lines =
      instances.empty() ? "no instance runs that you may control\n" : lay_out(rows, "rrllrll");
  if (hidden > 0) lines += fmt::format("{} of other users: sudo liveswap list\n", plural(hidden, "instance"));
  return lines;
}

}  // namespace liveswap::cli
