#include <doctest/doctest.h>
#include <link.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

#include "harness.hpp"
#include "test/support/temp_dir.hpp"

using namespace liveswap::test;

namespace {

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Where the last loaded segment ends in the file.
std::size_t end_of_segments(const std::string& library) {
  ElfW(Ehdr) header;
  std::size_t end = 0;
  std::memcpy(&header, library.data(), sizeof header);
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    ElfW(Phdr) segment;
    std::memcpy(&segment, library.data() + header.e_phoff + i * sizeof segment, sizeof segment);
    if (segment.p_type == PT_LOAD) end = std::max<std::size_t>(end, segment.p_offset + segment.p_filesz);
  }
  return end;
}

const std::vector<std::string> as_a_plugin{"--kind", "plugin"};

bool has(const std::string& text, const std::string& part) {
  CAPTURE(text);
  const bool found = text.find(part) != std::string::npos;
  CHECK_MESSAGE(found, "expected: " << part);
  return found;
}

}  // namespace

TEST_CASE("what is no regular file fails at OPEN, with what was found, and never blocks") {
  const TempDir directory;
  has(failure(directory / "none.so", LIVESWAP_STAGE_OPEN), "No such file or directory");
  has(failure(directory.path(), LIVESWAP_STAGE_OPEN), "says what starts it");
  has(failure("/dev/zero", LIVESWAP_STAGE_OPEN), "is a device");
  const std::string fifo = directory / "fifo";
  REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
  has(failure(fifo, LIVESWAP_STAGE_OPEN), fifo + " is a FIFO");
}

TEST_CASE("what is no shared library of this machine fails at LINK, with what was found") {
  const TempDir directory;
  const std::string good = content_of(fixture("version_v1"));
  has(failure(directory.write("lib.so", ""), LIVESWAP_STAGE_LINK), "is empty");
  has(failure(directory.write("lib.so", "#!/bin/sh\nexit 0\n"), LIVESWAP_STAGE_LINK), "is no ELF file");
  has(failure(directory.write("lib.so", good.substr(0, 5)), LIVESWAP_STAGE_LINK), "is no ELF file");
  has(failure(directory.write("lib.so", good.substr(0, 40)), LIVESWAP_STAGE_LINK),
      "is cut short: found 40 bytes");
  has(failure(directory.write("lib.so", good.substr(0, 100)), LIVESWAP_STAGE_LINK),
      "is cut short: found 100 bytes");
  has(failure(directory.write("lib.so", good.substr(0, 5000)), LIVESWAP_STAGE_LINK),
      "is cut short: found 5000 bytes");
  const std::size_t end = end_of_segments(good);
  has(failure(directory.write("lib.so", good.substr(0, end - 1)), LIVESWAP_STAGE_LINK),
      "expected " + std::to_string(end));

  std::string other = good;
  other[18] = static_cast<char>(EM_S390);
  has(failure(directory.write("lib.so", other), LIVESWAP_STAGE_LINK), "found S/390 (22), expected");
  other = good;
  other[EI_CLASS] = ELFCLASS32;
  has(failure(directory.write("lib.so", other), LIVESWAP_STAGE_LINK), "found 32 bits");
  other = good;
  other[16] = ET_EXEC;
  has(failure(directory.write("lib.so", other), LIVESWAP_STAGE_LINK, as_a_plugin),
      "is a program; expected a shared library");
  other[16] = ET_REL;
  has(failure(directory.write("lib.so", other), LIVESWAP_STAGE_LINK), "is an object file");
  other = good;
  other[56] = 0;
  other[57] = 0;
  has(failure(directory.write("lib.so", other), LIVESWAP_STAGE_LINK), "damaged ELF header");
  has(failure(WORKER_HOST, LIVESWAP_STAGE_LINK, as_a_plugin), "is a program (PIE)");
}

TEST_CASE("what the loader refuses fails at LINK with its own words") {
  has(failure(fixture("missing_symbol"), LIVESWAP_STAGE_LINK), "function_that_nobody_defines");
  has(failure(fixture("missing_library"), LIVESWAP_STAGE_LINK), "libliveswap-is-not-there.so.9");
}

TEST_CASE("a library without the entry fails at ENTRY") {
  const std::string text = failure(fixture("no_entry"), LIVESWAP_STAGE_ENTRY);
  has(text, "does not export the function liveswap_main");
  CHECK(text.find("extern") == std::string::npos);
  has(failure(fixture("mangled"), LIVESWAP_STAGE_ENTRY), "extern \"C\"");
}

TEST_CASE("an ABI note that does not fit fails at ABI") {
  has(failure(fixture("wrong_abi"), LIVESWAP_STAGE_ABI), "found 2.7, expected 1.x");
  has(failure(fixture("short_abi"), LIVESWAP_STAGE_ABI), "found 4 bytes, expected at least 12");
}

TEST_CASE("the stages are told in order, and then that liveswap_main is entered") {
  Worker worker = Worker::start({.path = fixture("version_v1")});
  for (int stage = LIVESWAP_STAGE_OPEN; stage <= LIVESWAP_STAGE_ABI; ++stage) {
    const auto frame = worker.next();
    REQUIRE(frame);
    CHECK(frame->kind == LIVESWAP_STAGED);
    CHECK(frame->value == stage);
  }
  const auto frame = worker.next();
  REQUIRE(frame);
  CHECK(frame->kind == LIVESWAP_ENTERED);
  CHECK(frame->value == 0);
}

TEST_CASE("a crash says by the last stage where it happened") {
  Worker loading = Worker::start({.path = fixture("crash_constructor")});
  CHECK(loading.expect(LIVESWAP_STAGED).value == LIVESWAP_STAGE_OPEN);
  CHECK(loading.expect(LIVESWAP_STAGED).value == LIVESWAP_STAGE_LINK);
  CHECK_FALSE(loading.next());
  CHECK(loading.wait().number == SIGSEGV);

  Worker starting = Worker::start({.path = fixture("crash_start")});
  starting.expect(LIVESWAP_ENTERED);
  CHECK_FALSE(starting.next());
  CHECK(starting.wait().number == SIGSEGV);

  Worker throwing = Worker::start({.path = fixture("throws")});
  throwing.expect(LIVESWAP_ENTERED);
  CHECK_FALSE(throwing.next());
  const End end = throwing.wait();
  CHECK_FALSE(end.exited);
  CHECK(end.number == SIGABRT);
}

TEST_CASE("a command line that no master writes, and a missing listener, end with a status of their own") {
  const std::string host = WORKER_HOST;
  const std::vector<std::vector<std::string>> lines = {
      {host},
      {host, "--help"},
      {host, "--pre-upgrade", "/path"},
      {host, "--pre-upgrade", "relative.so", ""},
      {host, "--check"},
      {host, "--check", "relative.so"},
      {host, "--slot", "x", "--generation", "1", "--drain-limit", "1", "--term-grace", "1", "--listeners", "",
       "/p"},
      {host, "--slot", "0", "--generation", "1", "--drain-limit", "1", "--term-grace", "1", "--listeners",
       ""},
      {host, "--slot", "0", "--generation", "1", "--drain-limit", "1", "--term-grace", "1", "--listeners",
       "0", "/p"}};
  for (const auto& line : lines) {
    Worker worker = Worker::spawn(line, {}, {});
    CHECK(worker.wait().number == LIVESWAP_EXIT_USAGE);
  }
}

TEST_CASE("without a master before liveswap_main is entered the worker leaves at once") {
  Worker worker = Worker::start({.path = fixture("hang_constructor")});
  CHECK(worker.expect(LIVESWAP_STAGED).value == LIVESWAP_STAGE_OPEN);
  CHECK(worker.expect(LIVESWAP_STAGED).value == LIVESWAP_STAGE_LINK);
  worker.abandon();
  CHECK(worker.wait().number == LIVESWAP_EXIT_LOAD);
}
