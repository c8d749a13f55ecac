#include "load/load_run.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdlib>
#include <stdexcept>

namespace liveswap::load::test {
namespace {

struct Pipe {
  UniqueFd reader, writer;
};

Pipe make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  return {UniqueFd::adopt(ends[0]), UniqueFd::adopt(ends[1])};
}

std::string client_path() {
  const char* path = std::getenv("LIVESWAP_LOAD");
  if (!path) throw std::runtime_error("LIVESWAP_LOAD does not name the client: run this by meson test");
  return path;
}

std::string read_all(int fd) {
  std::string text;
  char buffer[4096];
  while (true) {
    const ssize_t n = ::pread(fd, buffer, sizeof buffer, static_cast<off_t>(text.size()));
    if (n <= 0) return text;
    text.append(buffer, static_cast<std::size_t>(n));
  }
}

}  // namespace

LoadRun::LoadRun(std::vector<std::string> arguments) {
  const std::string path = client_path();
  arguments.insert(arguments.begin(), path);
  arguments.insert(arguments.end(), {"--json", "-"});
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  Pipe in = make_pipe(), people = make_pipe();
  json_file_ = UniqueFd::adopt(::memfd_create("json", MFD_CLOEXEC));
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("cannot fork");
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::dup2(in.reader.get(), STDIN_FILENO);
    ::dup2(json_file_.get(), STDOUT_FILENO);
    ::dup2(people.writer.get(), STDERR_FILENO);
    if (::getppid() == parent) ::execv(path.c_str(), argv.data());
    ::_exit(127);
  }
  input_ = std::move(in.writer);
  people_ = std::move(people.reader);
}

LoadRun::~LoadRun() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void LoadRun::tell(const std::string& line) {
  const std::string text = line + "\n";
  REQUIRE(::write(input_.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

void LoadRun::signal(int number) const { ::kill(pid_, number); }

std::optional<std::string> LoadRun::next_line() {
  std::size_t end;
  while ((end = unread_.find('\n')) == std::string::npos) {
    char buffer[4096];
    const ssize_t n = ::read(people_.get(), buffer, sizeof buffer);
    if (n <= 0) return std::nullopt;
    unread_.append(buffer, static_cast<std::size_t>(n));
  }
  const std::string line = unread_.substr(0, end);
  unread_.erase(0, end + 1);
  return line;
}

int LoadRun::finish() {
  std::string said;
  while (const auto line = next_line()) said += *line + "\n";
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  json_ = nlohmann::json::parse(read_all(json_file_.get()), nullptr, false);
  INFO(said);
  CHECK(WIFEXITED(status));
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::uint64_t LoadRun::count(const std::string& name) const {
  std::uint64_t sum = 0;
  for (const auto& [key, value] : json_.at("classes").items()) sum += value.get<std::uint64_t>();
  CHECK(sum == attempts());
  CHECK(json_.at("unfinished") == 0);
  return json_.at("classes").at(name);
}

}  // namespace liveswap::load::test
