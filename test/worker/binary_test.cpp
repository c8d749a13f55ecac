// What the worker host's binary and the contract's header promise to every application.
#include <doctest/doctest.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "harness.hpp"

namespace {

std::string output_of(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string all;
  char buffer[4096];
  for (std::size_t size; (size = fread(buffer, 1, sizeof buffer, pipe)) > 0;) all.append(buffer, size);
  REQUIRE(pclose(pipe) == 0);
  return all;
}

std::set<std::string> words_of(const std::string& text) {
  std::istringstream stream(text);
  std::set<std::string> words;
  for (std::string word; stream >> word;) words.insert(word);
  return words;
}

}  // namespace

TEST_CASE("the host needs nothing but libc") {
  const auto needed =
      words_of(output_of("readelf -dW " WORKER_HOST " | sed -n 's/.*NEEDED.*\\[\\(.*\\)\\]/\\1/p'"));
  CHECK(needed.count("libc.so.6") == 1);
  for (const std::string& library : needed)
    CHECK((library == "libc.so.6" || library.rfind("ld-linux", 0) == 0));
}

TEST_CASE("the host exports the functions of the header, the calls that it sees, and nothing else") {
  const auto exported = words_of(output_of("nm -D --defined-only " WORKER_HOST " | awk '{print $3}'"));
  const auto declared = words_of(
      output_of("sed -n 's/^LIVESWAP_HOST .*\\(liveswap_[a-z_]*\\)(.*/\\1/p' " INCLUDE "/liveswap_plugin.h"));
  CHECK(declared.size() > 15);
  std::set<std::string> contract, seen;
  for (const std::string& name : exported) (name.rfind("liveswap_", 0) == 0 ? contract : seen).insert(name);
  CHECK(contract == declared);
  // Whatever libc has of that name is what the application would meet otherwise.
  const auto wanted =
      words_of(output_of("sed -n 's/^  \\([A-Za-z0-9_]*\\);$/\\1/p' " WORKER_LIST " | grep -v '^liveswap_'"));
  CHECK(wanted.size() > 20);
  CHECK(seen == wanted);
}

TEST_CASE("the hook needs nothing but libc, and exports what the host exports, and the start of a program") {
  const auto needed = words_of(output_of("readelf -dW " HOOK " | sed -n 's/.*NEEDED.*\\[\\(.*\\)\\]/\\1/p'"));
  CHECK(needed.count("libc.so.6") == 1);
  for (const std::string& library : needed)
    CHECK((library == "libc.so.6" || library.rfind("ld-linux", 0) == 0));
  const auto names = [](const std::string& path) {
    return words_of(output_of("nm -D --defined-only " + path + " | awk '{print $3}'"));
  };
  auto expected = names(WORKER_HOST);
  expected.insert("__libc_start_main");
  CHECK(names(HOOK) == expected);
}

TEST_CASE("the header compiles as every C and C++ it promises, without a warning") {
  const std::string base = "/tmp/liveswap-header-" + std::to_string(getpid());
  for (const std::string suffix : {".c", ".cpp"}) {
    std::ofstream source(base + suffix);
    source << "#include \"liveswap_plugin.h\"\n#include "
              "\"liveswap_plugin.h\"\nLIVESWAP_ABI_NOTE(LIVESWAP_DEFER_READY)\n"
              "int liveswap_main(int fd) { return fd + liveswap_draining(); }\n"
              "void liveswap_preupgrade(const char* value, liveswap_done done, void* ctx) { done(ctx, value, "
              "value); }\n";
  }
  const std::string flags = " -Wall -Wextra -Wpedantic -Werror -fsyntax-only -I" INCLUDE " ";
  for (const std::string weak : {"", "-DLIVESWAP_WEAK "}) {
    for (const std::string standard : {"c11", "c17"}) {
      CHECK(std::system(("cc -std=" + standard + flags + weak + base + ".c").c_str()) == 0);
    }
    for (const std::string standard : {"c++11", "c++14", "c++17", "c++20"}) {
      CHECK(std::system(("c++ -std=" + standard + flags + weak + base + ".cpp").c_str()) == 0);
    }
  }
  unlink((base + ".c").c_str());
  unlink((base + ".cpp").c_str());
}

TEST_CASE("samples: a release that was built for them serves and drains") {
  using namespace liveswap::test;
  for (const std::string name : {"hello_v1", "hello_v2", "hello_keepalive"}) {
    const auto listener = listen_tcp();
    Worker worker = Worker::start({.path = sample(name), .listeners = {listener.get()}, .names = "0"});
    worker.expect(LIVESWAP_ENTERED);
    const std::string expected = name == "hello_v2" ? "404 Not Found" : "200 OK";
    CHECK(get(listener.get()).find(expected) != std::string::npos);
    {
      const auto idle = connect_to(listener.get());
      while (readable(listener.get(), 0)) {
      }
      worker.send(LIVESWAP_DRAIN, 30'000);
      const auto rest = read_all(idle.get());
      REQUIRE(rest);
      CHECK(rest->empty());
    }
    CHECK(worker.wait().number == 0);
  }
}

TEST_CASE("samples: echo answers an open connection until it is idle, then ends it") {
  using namespace liveswap::test;
  const auto listener = listen_tcp();
  Worker worker = Worker::start({.path = sample("echo"), .listeners = {listener.get()}, .names = "0"});
  {
    const auto client = connect_to(listener.get());
    char text[6] = "hello";
    REQUIRE(send(client.get(), text, 5, 0) == 5);
    REQUIRE(recv(client.get(), text, 5, MSG_WAITALL) == 5);
    worker.send(LIVESWAP_DRAIN, 30'000);
    worker.expect(LIVESWAP_COUNTED);  // draining by now
    REQUIRE(send(client.get(), "again", 5, 0) == 5);
    const auto rest = read_all(client.get());
    REQUIRE(rest);
    CHECK(*rest == "again");
  }
  CHECK(worker.wait().number == 0);
}
