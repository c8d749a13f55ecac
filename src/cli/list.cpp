#include <unistd.h>

#include <nlohmann/json.hpp>

#include "cli/instance_table.hpp"
#include "cli/printable.hpp"
#include "cli/run_command.hpp"
#include "cli/terminal.hpp"

namespace liveswap::cli {
namespace {

constexpr std::chrono::milliseconds answer_limit{2'000};

}  // namespace

int run_list(const Arguments& arguments) {
  const auto instances = client::running_instances(answer_limit);
  const auto document = instances_json(instances);
  if (arguments.json)
    print(printable_json(document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)) + "\n");
  else print(instance_table(document, ::geteuid() == 0 ? 0 : instances.hidden));
  return ok;
}

}  // namespace liveswap::cli
