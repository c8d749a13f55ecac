#include "master_run.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <stdexcept>

#include "base/unique_fd.hpp"

namespace nth {
namespace {

using Clock = std::chrono::steady_clock;
using liveswap::UniqueFd;

constexpr int step_ms = 3;

void rest() { ::poll(nullptr, 0, step_ms); }

template <class Condition>
bool eventually(Milliseconds limit, Condition&& condition) {
  const auto end = Clock::now() + limit;
  while (!condition()) {
    if (Clock::now() >= end) return false;
    rest();
  }
  return true;
}

// A port of this machine that is free now.
std::uint16_t free_port() {
  const auto fd = UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
    throw std::runtime_error("no port is free");
  return ntohs(address.sin_port);
}

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

std::vector<pid_t> children_of(pid_t pid) {
  std::vector<pid_t> found;
  std::error_code failed;
  const auto tasks = "/proc/" + std::to_string(pid) + "/task";
  for (std::filesystem::directory_iterator task(tasks, failed), end; !failed && task != end;
       task.increment(failed)) {
    std::ifstream list(task->path() / "children");
    for (pid_t child = 0; list >> child;) found.push_back(child);
  }
  return found;
}

Board::Board(const std::string& path) : path_(path) {
  const auto fd = UniqueFd::adopt(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd || ::ftruncate(fd.get(), sizeof *page_) != 0) throw std::runtime_error("cannot make " + path);
  void* page = ::mmap(nullptr, sizeof *page_, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (page == MAP_FAILED) throw std::runtime_error("cannot map " + path);
  page_ = static_cast<board*>(page);
}

Board::~Board() { ::munmap(page_, sizeof *page_); }

void Board::arm(const Failure& failure) {
  page_->kinds = failure.kinds;
  page_->errors = failure.errors;
  page_->first = failure.first;
  page_->last = failure.last;
  page_->seen = page_->failed = 0;
  std::memset(page_->name, 0, sizeof page_->name);
  __atomic_store_n(&page_->armed, 1, __ATOMIC_SEQ_CST);
}

Fate Board::disarm() {
  __atomic_store_n(&page_->armed, 0, __ATOMIC_SEQ_CST);
  return {page_->seen, page_->failed, page_->name};
}

std::uint64_t Board::seen() const { return __atomic_load_n(&page_->seen, __ATOMIC_SEQ_CST); }

void Board::release() { __atomic_store_n(&page_->pid, 0, __ATOMIC_SEQ_CST); }

pid_t Board::pid() const { return __atomic_load_n(&page_->pid, __ATOMIC_SEQ_CST); }

MasterRun::MasterRun(Place place, Board& board, const Board& store)
    : place_(std::move(place)), board_(board) {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  std::filesystem::create_directories(place_.directory + "/state");
  std::filesystem::create_directories(place_.directory + "/run");
  std::filesystem::permissions(place_.directory + "/run", std::filesystem::perms::owner_all);
  make_host(store);
  control_ = free_port();
  do port_ = free_port();
  while (port_ == control_);
  address_ = "127.0.0.1:" + std::to_string(port_);
}

MasterRun::~MasterRun() {
  if (pid_ > 0 && !ended()) {
    signal(SIGKILL);
    ends_within(Milliseconds(5'000));
  }
  left_behind(Milliseconds(3'000));
}

// Makes a directory with the worker host and a liveswap-store that preloads the library. The script sets the
// variables, because the master passes none on.
void MasterRun::make_host(const Board& store) const {
  const auto host = place_.directory + "/host";
  std::filesystem::create_directories(host);
  std::filesystem::create_symlink(place_.build + "/liveswap-worker", host + "/liveswap-worker");
  std::ofstream(host + "/liveswap-store") << "#!/bin/sh\nexec /usr/bin/env LD_PRELOAD=" << place_.build
                                          << "/test/nth/libnth.so NTH_BOARD=" << store.path() << " "
                                          << place_.build << "/liveswap-store \"$@\"\n";
  std::filesystem::permissions(host + "/liveswap-store", std::filesystem::perms(0755));
}

void MasterRun::write_configuration() {
  const auto number = ++configurations_;
  std::ofstream(place_.directory + "/liveswap.yaml")
      << "environment: {NUMBER: \"" << number << "\"}\nready-limit: " << 30'000 + number
      << "ms\nbackoff-reset: " << 10'000 + number << "ms\n";
}

// The loader ignores bytes after the last section.
std::string MasterRun::fresh_library() {
  const auto path = place_.directory + "/fresh.so";
  std::filesystem::copy_file(library(1), path, std::filesystem::copy_options::overwrite_existing);
  std::ofstream(path, std::ios::app) << ++fresh_;
  return path;
}

void MasterRun::start(const std::optional<Failure>& failure) {
  board_.disarm();
  board_.release();
  if (failure) board_.arm(*failure);
  status_.reset();
  log_before_ = log().size();
  const std::string program = place_.build + "/liveswap";
  const std::string preload = "LD_PRELOAD=" + place_.build + "/test/nth/libnth.so";
  const std::string board = "NTH_BOARD=" + board_.path(), log = place_.directory + "/log";
  const std::string state = place_.directory + "/state", runtime = place_.directory + "/run";
  const std::string host = place_.directory + "/host/liveswap-worker";
  const std::string control = std::to_string(control_), forks = std::to_string(place_.forks),
                    first = library(1);
  write_configuration();
  const std::string file = place_.directory + "/liveswap.yaml";
  const char* const words[] = {"liveswap",
                               "start",
                               "-p",
                               control.c_str(),
                               "--listen",
                               address_.c_str(),
                               "--forks",
                               forks.c_str(),
                               "--settle",
                               "5ms",
                               "-c",
                               file.c_str(),
                               "--drain-limit",
                               "5s",
                               "--term-grace",
                               "200ms",
                               "--backoff-max",
                               "200ms",
                               "--state-dir",
                               state.c_str(),
                               "--runtime-dir",
                               runtime.c_str(),
                               "--worker-host",
                               host.c_str(),
                               first.c_str(),
                               nullptr};
  // Without HOME a start looks up the user's entry, and without memory glibc 2.36 (NSS) crashes there.
  const std::string home = "HOME=" + place_.directory;
  const char* const variables[] = {preload.c_str(), board.c_str(), home.c_str(), "PATH=/usr/bin:/bin",
                                   nullptr};
  const auto output = UniqueFd::adopt(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  pid_ = ::fork();
  if (pid_ != 0) return;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::dup2(output.get(), STDOUT_FILENO);
  ::dup2(output.get(), STDERR_FILENO);
  ::execve(program.c_str(), const_cast<char**>(words), const_cast<char**>(variables));
  ::_exit(127);
}

std::optional<int> MasterRun::ended() {
  int status = 0;
  if (!status_ && ::waitpid(pid_, &status, WNOHANG) == pid_) status_ = status;
  return status_;
}

bool MasterRun::ends_within(Milliseconds limit) {
  return eventually(limit, [this] { return ended().has_value(); });
}

bool MasterRun::wait_until_running(Milliseconds limit) {
  return eventually(limit, [this] { return ended() || trouble_now().empty(); });
}

bool MasterRun::wait_until_ready(Milliseconds limit) {
  return eventually(
      limit, [this] { return ended() || log().find(" info: ready: ", log_before_) != std::string::npos; });
}

void MasterRun::signal(int number) const { ::kill(pid_, number); }

std::string MasterRun::library(int version) const {
  return place_.build + "/test/fixtures/libready_v" + std::to_string(version) + ".so";
}

std::string MasterRun::control_socket() const {
  return place_.directory + "/run/" + std::to_string(control_) + ".sock";
}

std::optional<Json> MasterRun::ask(const Json& command, Milliseconds limit) const {
  const auto fd = UniqueFd::adopt(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "%s", control_socket().c_str());
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return std::nullopt;
  const std::string line = command.dump() + "\n";
  if (::send(fd.get(), line.data(), line.size(), MSG_NOSIGNAL) < 0) return std::nullopt;
  const auto end = Clock::now() + limit;
  std::string received;
  for (;;) {
    for (auto at = received.find('\n'); at != std::string::npos; at = received.find('\n')) {
      auto answer = Json::parse(received.substr(0, at), nullptr, false);
      received.erase(0, at + 1);
      if (answer.is_object() && answer.contains("cmd")) return answer;
    }
    const auto left = std::chrono::duration_cast<Milliseconds>(end - Clock::now()).count();
    pollfd wait{fd.get(), POLLIN, 0};
    if (left <= 0 || ::poll(&wait, 1, static_cast<int>(left)) <= 0) return std::nullopt;
    char bytes[16 * 1024];
    const ssize_t size = ::recv(fd.get(), bytes, sizeof bytes, 0);
    if (size <= 0) return std::nullopt;
    received.append(bytes, static_cast<std::size_t>(size));
  }
}

std::string MasterRun::trouble_now() const {
  const auto answer = ask({{"cmd", "status"}}, Milliseconds(2'000));
  if (!answer) return "status is not answered";
  const Json status = answer->value("status", Json());
  if (!status.is_object()) return "status is no status: " + answer->dump();
  if (status.value("state", "") != "running")
    return "it does not run: " + status.value("state", "") + " " + status.value("phase", "");
  std::set<pid_t> workers;
  for (const auto& slot : status.at("slots")) {
    if (slot.at("workers").size() != 1 || slot.at("workers")[0].value("state", "") != "ready")
      return "slot " + slot.at("slot").dump() + " is not served by one worker: " + slot.at("workers").dump();
    workers.insert(slot.at("workers")[0].value("pid", pid_t{0}));
  }
  if (workers.size() != place_.forks) return "a slot is missing";
  for (const pid_t child : children_of(pid_))
    if (!workers.contains(child))
      return "the child " + std::to_string(child) + " is no worker that status knows";
  return "";
}

std::string MasterRun::trouble(Milliseconds limit) {
  std::string text;
  eventually(limit, [&] { return ended() || (text = trouble_now()).empty(); });
  return ended() ? "the master has ended" : text;
}

std::string MasterRun::left_behind(Milliseconds limit) {
  const auto gone = [this] {
    while (::waitpid(-1, nullptr, WNOHANG) > 0) continue;
    return children_of(::getpid()).empty();
  };
  if (eventually(limit, gone)) return "";
  std::string text;
  for (const pid_t pid : children_of(::getpid())) {
    text += " " + std::to_string(pid) + " (" + read_file("/proc/" + std::to_string(pid) + "/comm") + ")";
    ::kill(pid, SIGKILL);
  }
  eventually(Milliseconds(5'000), gone);
  return text;
}

void MasterRun::shorten_history() const {
  constexpr std::size_t kept = 4;
  std::error_code failed;
  std::vector<std::filesystem::path> receipts;
  for (const auto& one : std::filesystem::directory_iterator(place_.directory + "/state/history", failed))
    receipts.push_back(one.path());
  // Sorts by number: the names of the newest are the longest, and the last of these.
  const auto rank = [](const auto& path) { return std::pair(path.native().size(), path.native()); };
  std::sort(receipts.begin(), receipts.end(),
            [&](const auto& one, const auto& other) { return rank(one) < rank(other); });
  for (std::size_t i = 0; i + kept < receipts.size(); ++i) std::filesystem::remove(receipts[i], failed);
}

std::string MasterRun::log() const { return read_file(place_.directory + "/log"); }

}  // namespace nth
