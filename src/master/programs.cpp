#include "master/programs.hpp"

#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/file.hpp"
#include "base/log.hpp"
#include "master/setup.hpp"
#include "protocol/command_line.hpp"
#include "protocol/instance.hpp"
#include "spawn/identity.hpp"
#include "spawn/worker_host.hpp"

namespace liveswap::master {
namespace {

// How to start liveswap-store, which lies beside the worker host. Runs as the master's user. Writes its
// output to the master's log, and its answer to the channel.
spawn::Request store_request(const std::string& worker_host, int output) {
  spawn::Request request;
  request.program = std::filesystem::path(worker_host).parent_path() / "liveswap-store";
  request.arguments = {"liveswap-store"};
  request.descriptors = {-1, -1, output < 0 ? STDERR_FILENO : output, -1};
  return request;
}

// liveswap-keeper, which lies beside the worker host. Without it, all else works. A master that is the first
// process of a pid namespace needs none: the kernel kills all other processes with it.
std::string find_keeper(const std::string& worker_host) {
  if (::getpid() == 1) return "";
  std::string path = std::filesystem::path(worker_host).parent_path() / "liveswap-keeper";
  if (::access(path.c_str(), X_OK) == 0) return path;
  log::warning("{}: if this master is killed, its workers drain and leave",
               os_error("execute the keeper beside the worker host", path, errno).text);
  return "";
}

// The options with which a client on this machine reaches this master, for commands in messages. Not the
// address: such a client uses the control socket. Directories that a client finds without an option are left
// out.
std::string options_for_client(const Options& options) {
  const auto usual = protocol::locate_instance(options.port, "", "");
  return protocol::port_option(options.port) +
         protocol::directory_options(options.state_dir == usual.state_dir ? "" : options.state_dir,
                                     options.runtime_dir == usual.runtime_dir ? "" : options.runtime_dir);
}

}  // namespace

tl::expected<Programs, Outcome> find_programs(const Options& options, int output) {
  Programs found;
  const auto host = spawn::find_worker_host(options.worker_host);
  if (!host) return tl::unexpected<Outcome>({failed, host.error().text});
  found.worker_host = *host;
  found.store = store_request(*host, output);
  found.output = output;
  if (::access(found.store.program.c_str(), X_OK) != 0)
    return tl::unexpected<Outcome>(
        {failed,
         os_error("execute the release store beside the worker host", found.store.program, errno).text});
  found.keeper = find_keeper(*host);
  auto identity = spawn::find_identity(options.user, options.group);
  if (!identity) return tl::unexpected<Outcome>({usage, identity.error().text});
  found.identity = std::move(*identity);
  return found;
}

spawn::Request worker_request(const Options& options, const Programs& programs, const rlimit& files) {
  const int output = programs.output;
  spawn::Request request;
  request.program = programs.worker_host;
  request.environment = spawn::child_environment(options.environment);
  request.descriptors = {-1, output < 0 ? STDOUT_FILENO : output, output < 0 ? STDERR_FILENO : output, -1};
  request.working_directory = options.working_directory;
  request.home = current_directory();
  request.identity = programs.identity;
  request.limits = {{RLIMIT_NOFILE, files}};
  for (const auto& limit : resource_limits(options.limits)) request.limits.push_back(limit);
  return request;
}

std::function<std::string(std::string_view)> completion_for(const Options& options) {
  return [client = options_for_client(options)](std::string_view text) {
    return protocol::with_options(text, client);
  };
}

}  // namespace liveswap::master
