// What the kernel says of this process and of others (base/proc_self.h).
#include "../host_headers.hpp"
#include "../in_child.hpp"

#include <dirent.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.hpp"

extern "C" {
#include "worker/base/fd_flags.h"
#include "worker/base/proc_self.h"
}

using liveswap::UniqueFd;
using liveswap::test::in_child;

namespace {

const bool is_set_up = proc_self_setup();

void collect(int number, void* numbers) { static_cast<std::set<int>*>(numbers)->insert(number); }

std::set<int> descriptors() {
  std::set<int> found;
  REQUIRE(proc_self_each_descriptor(collect, &found));
  return found;
}

UniqueFd event() { return UniqueFd::adopt(::eventfd(0, EFD_CLOEXEC)); }

void push(const char* text, void* texts) {
  static_cast<std::vector<std::string>*>(texts)->emplace_back(text);
}

// The lines of a file with that content.
std::vector<std::string> lines_of(const std::string& content) {
  char path[] = "/tmp/proc-self-XXXXXX";
  const UniqueFd file = UniqueFd::adopt(::mkostemp(path, O_CLOEXEC));
  REQUIRE(::write(file.get(), content.data(), content.size()) == static_cast<ssize_t>(content.size()));
  std::vector<std::string> lines;
  CHECK(proc_self_each_line(path, push, &lines));
  ::unlink(path);
  return lines;
}

// A thread that waits in read() until it is let go.
struct Reader {
  Reader()
      : thread([this] {
          id = ::gettid();
          char byte;
          [[maybe_unused]] const ssize_t size = ::read(ends[0], &byte, 1);
        }) {
    while (id == 0) std::this_thread::yield();
  }
  ~Reader() {
    end();
    for (const int fd : ends) ::close(fd);
  }
  void end() {
    if (!thread.joinable()) return;
    CHECK(::write(ends[1], "x", 1) == 1);
    thread.join();
  }
  int ends[2] = {-1, -1};
  int made = ::pipe2(ends, O_CLOEXEC);
  std::atomic<int> id = 0;
  std::thread thread;
};

// A child that waits for the end of its life.
struct Child {
  explicit Child(const char* name) {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    pid = ::fork();
    if (pid == 0) {
      ::prctl(PR_SET_NAME, name);
      ::setpgid(0, 0);
      ::close(ends[0]);
      [[maybe_unused]] const ssize_t size = ::write(ends[1], "x", 1);
      for (;;) ::pause();
    }
    char byte;
    ::close(ends[1]);
    CHECK(::read(ends[0], &byte, 1) == 1);
    ::close(ends[0]);
  }
  ~Child() { reap(); }
  void end() {
    ::kill(pid, SIGKILL);
    siginfo_t info;
    ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT);
  }
  void reap() {
    if (pid <= 0) return;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    pid = -1;
  }
  pid_t pid = -1;
};

}  // namespace

TEST_CASE("proc_self: what it keeps open is the host's, and closed on exec") {
  REQUIRE(is_set_up);
  int kept = 0;
  for (const int fd : descriptors()) {
    if (fd_flags(fd) != FLAG_HOST) continue;
    ++kept;
    CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
  }
  CHECK(kept >= 2);
}

TEST_CASE("proc_self: a file is read as far as there is room, with a NUL at its end") {
  char text[8];
  text[7] = 'x';
  CHECK(proc_self_read("status", text, sizeof text) == 7);
  CHECK(std::string(text) == "Name:\tw");
  char whole[8192];
  const ssize_t size = proc_self_read("status", whole, sizeof whole);
  REQUIRE(size > 100);
  CHECK(whole[size] == '\0');
  CHECK(std::string(whole).find("\nPid:\t" + std::to_string(::getpid()) + "\n") != std::string::npos);
}

TEST_CASE("proc_self: a file that is not there") {
  char text[8];
  errno = 0;
  CHECK(proc_self_read("no-such-file", text, sizeof text) == -1);
  CHECK(errno == ENOENT);
  CHECK(proc_self_open("fdinfo/99999") == -1);
  const UniqueFd info = UniqueFd::adopt(proc_self_open("fdinfo/0"));
  CHECK(info.get() >= 0);
  CHECK((::fcntl(info.get(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("proc_self: the kind of a descriptor is the whole word") {
  const UniqueFd fd = event();
  CHECK(proc_self_descriptor_is(fd.get(), "anon_inode:[eventfd]"));
  CHECK(!proc_self_descriptor_is(fd.get(), "anon_inode:[eventpoll]"));
  CHECK(!proc_self_descriptor_is(fd.get(), "anon_inode:"));
  CHECK(!proc_self_descriptor_is(fd.get(), "anon_inode:[eventfd]x"));
  CHECK(!proc_self_descriptor_is(fd.get(), ""));
  CHECK(!proc_self_descriptor_is(-1, "anon_inode:[eventfd]"));
  CHECK(!proc_self_descriptor_is(99'999, "anon_inode:[eventfd]"));
}

TEST_CASE("proc_self: every open descriptor, and none that is closed") {
  UniqueFd first = event();
  const UniqueFd high = UniqueFd::adopt(::fcntl(first.get(), F_DUPFD_CLOEXEC, 900));
  const int low = first.get();
  CHECK(descriptors().count(low) == 1);
  CHECK(descriptors().count(high.get()) == 1);
  first.reset();
  CHECK(descriptors().count(low) == 0);
  // More than one buffer of names.
  std::vector<UniqueFd> many;
  for (int i = 0; i < 400; ++i) many.push_back(event());
  const std::set<int> found = descriptors();
  CHECK(
      std::all_of(many.begin(), many.end(), [&](const UniqueFd& fd) { return found.count(fd.get()) == 1; }));
}

namespace {

struct Nested {
  int depth = 0, deepest = 0;
  bool all = true;
};

void look_within(int, void* context) {
  auto* nested = static_cast<Nested*>(context);
  if (nested->depth == 7) return;
  ++nested->depth;
  nested->deepest = std::max(nested->deepest, nested->depth);
  std::set<int> found;
  // Once at each depth.
  if (nested->deepest == nested->depth)
    nested->all = nested->all && proc_self_each_descriptor(look_within, nested);
  nested->all = nested->all && proc_self_each_descriptor(collect, &found) && found.count(0) == 1;
  --nested->depth;
}

}  // namespace

TEST_CASE("proc_self: looks within looks, deeper than there are directories kept") {
  const std::size_t before = descriptors().size();
  Nested nested;
  CHECK(proc_self_each_descriptor(look_within, &nested));
  CHECK(nested.deepest == 7);
  CHECK(nested.all);
  CHECK(descriptors().size() == before);
}

TEST_CASE("proc_self: several threads look at the same time, each at all of them") {
  const UniqueFd high = UniqueFd::adopt(::fcntl(event().get(), F_DUPFD_CLOEXEC, 901));
  std::atomic<int> missed = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 100; ++round) {
        std::set<int> found;
        const bool all = proc_self_each_descriptor(collect, &found);
        missed += !all || found.count(high.get()) == 0;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(missed == 0);
}

TEST_CASE("proc_self: without a descriptor left it still tells which there are") {
  CHECK(in_child([] {
    REQUIRE(proc_self_setup());  // what is open is its parent's
    const UniqueFd fd = event();
    const rlimit none{0, 0};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    std::set<int> found;
    REQUIRE(proc_self_each_descriptor(collect, &found));
    REQUIRE(found.count(0) == 1);
    errno = 0;
    REQUIRE(proc_self_open("status") == -1);
    REQUIRE(errno == EMFILE);
    REQUIRE(proc_self_count_threads() == -1);
    REQUIRE(!proc_self_each_thread(collect, &found));
    REQUIRE(!proc_self_each_process(collect, &found));
    REQUIRE(!proc_self_each_line("status", push, nullptr));
    struct proc_self_status status {};
    REQUIRE(!proc_self_status(&status));
  }));
}

TEST_CASE("proc_self: in another root directory it still tells") {
  if (::geteuid() != 0) return;  // nobody else may change it
  CHECK(in_child([] {
    REQUIRE(proc_self_setup());  // what is open is its parent's
    char path[] = "/tmp/proc-self-XXXXXX";
    REQUIRE(::mkdtemp(path) != nullptr);
    const bool is_changed = ::chroot(path) == 0;
    REQUIRE((!is_changed || ::access("/proc", F_OK) != 0));
    char text[64];
    REQUIRE(proc_self_read("status", text, sizeof text) > 0);
    REQUIRE(proc_self_count_threads() >= 1);
  }));
}

TEST_CASE("proc_self: threads are counted and named") {
  const int before = proc_self_count_threads();
  REQUIRE(before >= 1);
  Reader reader;
  CHECK(proc_self_count_threads() == before + 1);
  std::set<int> found;
  CHECK(proc_self_each_thread(collect, &found));
  CHECK(found.count(::gettid()) == 1);
  CHECK(found.count(reader.id) == 1);
}

TEST_CASE("proc_self: the call that a thread is in, and its first argument") {
  Reader reader;
  unsigned long argument = 0;
  long call = SELF_CALL_RUNNING;
  while (call == SELF_CALL_RUNNING) {
    std::this_thread::yield();
    call = proc_self_call(reader.id, &argument);
  }
  if (call == SELF_CALL_UNKNOWN) return;  // the kernel tells nobody here
  CHECK(call == SYS_read);
  CHECK(argument == static_cast<unsigned long>(reader.ends[0]));
  reader.end();
  CHECK(proc_self_call(reader.id, &argument) == SELF_CALL_NONE);
  CHECK(proc_self_call(-1, &argument) == SELF_CALL_NONE);
}

TEST_CASE("proc_self: a thread at work is in no call, or in one that ends") {
  std::atomic<bool> stop = false;
  std::atomic<int> id = 0;
  std::thread busy([&] {
    id = ::gettid();
    while (!stop) continue;
  });
  while (id == 0) std::this_thread::yield();
  unsigned long argument = 0;
  const long call = proc_self_call(id, &argument);
  CHECK((call == SELF_CALL_RUNNING || call == SELF_CALL_UNKNOWN || call == SELF_CALL_NONE));
  stop = true;
  busy.join();
}

TEST_CASE(
    "proc_self: a process, its parent, group and session; a zombie is over, one that is reaped is gone") {
  Child child("worker");
  self_process process{};
  REQUIRE(proc_self_process_look(child.pid, &process));
  CHECK(!process.is_over);
  CHECK(process.parent == ::getpid());
  CHECK(process.group == child.pid);
  CHECK(process.session == ::getsid(0));
  child.end();
  REQUIRE(proc_self_process_look(child.pid, &process));
  CHECK(process.is_over);
  CHECK(process.parent == ::getpid());
  const pid_t pid = child.pid;
  child.reap();
  CHECK(!proc_self_process_look(pid, &process));
  CHECK(!proc_self_process_look(-1, &process));
}

TEST_CASE("proc_self: a process may be named so as to look like what comes behind its name") {
  for (const char* const name : {"a) Z 1 (", ") Z 1 1 1", "(", ")", "a b"}) {
    CAPTURE(name);
    const Child child(name);
    self_process process{};
    REQUIRE(proc_self_process_look(child.pid, &process));
    CHECK(!process.is_over);
    CHECK(process.parent == ::getpid());
  }
}

TEST_CASE("proc_self: among all processes are this one and its child") {
  const Child child("worker");
  std::set<int> found;
  REQUIRE(proc_self_each_process(collect, &found));
  CHECK(found.count(::getpid()) == 1);
  CHECK(found.count(child.pid) == 1);
}

TEST_CASE("proc_self: the descriptors of another process, by what they are") {
  const UniqueFd socket = UniqueFd::adopt(::socket(AF_UNIX, SOCK_STREAM, 0));
  struct stat status {};
  REQUIRE(::fstat(socket.get(), &status) == 0);
  Child child("worker");
  std::vector<std::string> found;
  REQUIRE(proc_self_each_descriptor_of(child.pid, push, &found));
  CHECK(std::count(found.begin(), found.end(), "socket:[" + std::to_string(status.st_ino) + "]") == 1);
  const pid_t pid = child.pid;
  child.reap();
  found.clear();
  errno = 0;
  CHECK(!proc_self_each_descriptor_of(pid, push, &found));
  CHECK(errno == ENOENT);
  CHECK(found.empty());
}

TEST_CASE("proc_self: lines, without their ends") {
  CHECK(lines_of("").empty());
  CHECK(lines_of("one\n\nthree\n") == std::vector<std::string>{"one", "", "three"});
  std::vector<std::string> status;
  REQUIRE(proc_self_each_line("status", push, &status));
  CHECK(std::count(status.begin(), status.end(), "Pid:\t" + std::to_string(::getpid())) == 1);
  CHECK(!proc_self_each_line("no-such-file", push, &status));
}

TEST_CASE("proc_self: lines across the pieces in which the file is read") {
  std::vector<std::string> expected;
  std::string content;
  for (int i = 0; i < 3000; ++i) {
    expected.push_back(std::to_string(i) + std::string(static_cast<std::size_t>(i % 97), '.'));
    content += expected.back() + "\n";
  }
  CHECK(lines_of(content) == expected);
}

TEST_CASE("proc_self: a line beyond all bounds is cut in pieces, and nothing of it is lost") {
  for (const std::size_t size : {1000UL, 1024UL, 1025UL, 4094UL, 4095UL, 4096UL, 5000UL, 20'000UL}) {
    CAPTURE(size);
    std::string line;
    while (line.size() < size) line += static_cast<char>('a' + line.size() % 23);
    const std::vector<std::string> lines = lines_of("first\n" + line + "\nlast\n");
    REQUIRE(lines.size() >= 3);
    CHECK(lines.front() == "first");
    CHECK(lines.back() == "last");
    std::string whole;
    for (std::size_t i = 1; i + 1 < lines.size(); ++i) whole += lines[i];
    CHECK(whole == line);
    if (size <= 1024) CHECK(lines.size() == 3);
  }
}

TEST_CASE("proc_self: which signals the first thread blocks") {
  if (::gettid() != ::getpid()) return;
  sigset_t set, before;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGUSR1);
  ::sigaddset(&set, SIGRTMAX);
  ::sigprocmask(SIG_SETMASK, &set, &before);
  struct proc_self_status status {};
  CHECK(proc_self_status(&status));
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  CHECK(status.blocked == ((1ULL << (SIGUSR1 - 1)) | (1ULL << (SIGRTMAX - 1))));
  CHECK(!status.is_over);
}

TEST_CASE("proc_self: a filter of its calls shows") {
  CHECK(in_child([] {
    REQUIRE(proc_self_setup());  // what is open is its parent's
    struct proc_self_status status {};
    sock_filter allow{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
    const sock_fprog program{1, &allow};
    REQUIRE(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) return;  // a kernel without
    REQUIRE(proc_self_status(&status));
    REQUIRE(status.is_filtered);
  }));
}

TEST_CASE("proc_self: a number behind a name") {
  unsigned long long number = 0;
  CHECK(proc_self_number("status", "Pid:", 10, &number));
  CHECK(number == static_cast<unsigned long long>(::getpid()));
  number = 7;
  CHECK(!proc_self_number("status", "NoSuchName:", 10, &number));
  CHECK(!proc_self_number("no-such-file", "Pid:", 10, &number));
  CHECK(!proc_self_number("status", "id:", 10, &number));  // at the start of a line only
  CHECK(number == 7);
}

TEST_CASE("proc_self: a user who is in very many groups makes nothing be overlooked") {
  if (::geteuid() != 0) return;  // nobody else may change that
  CHECK(in_child([] {
    REQUIRE(proc_self_setup());
    std::vector<gid_t> groups(5000);
    for (std::size_t i = 0; i < groups.size(); ++i) groups[i] = static_cast<gid_t>(1'000'000 + i);
    REQUIRE(::setgroups(groups.size(), groups.data()) == 0);
    sigset_t set;
    ::sigemptyset(&set);
    ::sigaddset(&set, SIGUSR1);
    REQUIRE(::sigprocmask(SIG_SETMASK, &set, nullptr) == 0);
    struct proc_self_status status {};
    REQUIRE(proc_self_status(&status));
    REQUIRE(status.blocked == 1ULL << (SIGUSR1 - 1));
    unsigned long long pending = 0;
    REQUIRE(::raise(SIGUSR1) == 0);
    REQUIRE(proc_self_number("status", "SigPnd:", 16, &pending));
    REQUIRE(pending == 1ULL << (SIGUSR1 - 1));
  }));
}

TEST_CASE("proc_self: a forked child does not take its parent for itself") {
  CHECK(in_child([] {
    int visited = 0;
    char text[16];
    const auto visit = [](int, void* count) { ++*static_cast<int*>(count); };
    REQUIRE(!proc_self_each_descriptor(visit, &visited));
    REQUIRE(!proc_self_each_thread(visit, &visited));
    REQUIRE(visited == 0);
    REQUIRE(proc_self_read("status", text, sizeof text) == -1);
    REQUIRE(proc_self_setup());
    unsigned long long number = 0;
    REQUIRE(proc_self_number("status", "Pid:", 10, &number));
    REQUIRE(number == static_cast<unsigned long long>(::getpid()));
    REQUIRE(proc_self_each_descriptor(visit, &visited));
    REQUIRE(visited > 0);
  }));
}

namespace {

void* report_when_first_is_over(void*) {
  struct proc_self_status status {};
  for (int i = 0; i < 5000; ++i) {
    if (proc_self_status(&status) && status.is_over) ::_exit(0);
    ::usleep(1000);
  }
  ::_exit(1);
}

}  // namespace

TEST_CASE("proc_self: the first thread may end before the others") {
  CHECK(in_child([] {
    REQUIRE(proc_self_setup());  // what is open is its parent's
    struct proc_self_status status {};
    REQUIRE(proc_self_status(&status));
    REQUIRE(!status.is_over);
    pthread_t other;
    REQUIRE(::pthread_create(&other, nullptr, report_when_first_is_over, nullptr) == 0);
    ::syscall(SYS_exit, 0);  // of this thread alone, as after pthread_exit()
  }));
}
