// Paths without a loadable library: the text says which path, what was found and what was expected.
#include <doctest/doctest.h>
#include <elf.h>
#include <sys/stat.h>

#include <filesystem>

#include "support/connection.hpp"
#include "support/instance.hpp"

namespace scenario {
namespace {

namespace fs = std::filesystem;

// Offset of e_machine, the same in 32 and 64 bits.
constexpr std::size_t machine_offset = 18;

struct BadPath {
  std::string path;
  std::string found;  // what the text must contain, besides the path
};

std::string for_another_machine(const TempDir& dir) {
  auto bytes = read_file(fixture("version_v2"));
  const auto here = static_cast<unsigned char>(bytes.at(machine_offset));
  bytes[machine_offset] = static_cast<char>(here == EM_AARCH64 ? EM_X86_64 : EM_AARCH64);
  write_file(dir / "libforeign.so", bytes);
  return dir / "libforeign.so";
}

std::string truncated(const TempDir& dir) {
  write_file(dir / "libshort.so", read_file(fixture("version_v2")).substr(0, 1000));
  return dir / "libshort.so";
}

std::string with_content(const TempDir& dir, const std::string& name, const std::string& content) {
  write_file(dir / name, content);
  return dir / name;
}

std::string fifo(const TempDir& dir) {
  REQUIRE(::mkfifo((dir / "fifo.so").c_str(), 0600) == 0);
  return dir / "fifo.so";
}

std::vector<BadPath> bad_paths(const TempDir& dir) {
  return {
      {dir / "libmissing.so", "No such file"},
      {with_content(dir, "libempty.so", ""), "empty"},
      {truncated(dir), "cut short: found 1000 bytes"},
      {with_content(dir, "libtext.so", "#!/bin/sh\necho this is no library\n"), "ELF"},
      {for_another_machine(dir), "another architecture"},
      {"/usr/bin/passwd", "is set-uid"},
      {STATIC_PROGRAM, "is a program"},
      {dir.directory("libdir.so"), "directory"},
      {fifo(dir), "FIFO"},
      {"/dev/null", "device"},
      {"/dev/zero", "device"},
      {dir / "libempty.so" + "/libapp.so", "Not a directory"},
  };
}

TEST_CASE_FIXTURE(Scenario,
                  "an upgrade to what is no library is refused, with a text that says what is there") {
  Instance app(*this, fixture("version_v1"), {"--ready-limit", "5s"});
  for (const auto& bad : bad_paths(dir)) {
    CAPTURE(bad.path);
    const auto finished = app.upgrade(bad.path);
    CAPTURE(finished.err);
    CHECK(finished.status == Exit::refused);
    CHECK(contains(finished.err, bad.path));
    CHECK(contains(finished.err, bad.found));
    CHECK_FALSE(contains(finished.err, "was not ready"));
    CHECK(app.head() == fixture("version_v1") + "\n");
  }
  CHECK(app.serves(fixture("version_v1")));
  CHECK(contains(http_get(app.address()), "v1"));
}

TEST_CASE_FIXTURE(Scenario, "a start of what is no library fails with the same text") {
  const Site site(*this);
  for (const auto& bad : bad_paths(dir)) {
    CAPTURE(bad.path);
    const auto finished = site.run("start", {"--listen", site.address(), bad.path});
    CAPTURE(finished.err);
    CHECK(finished.status == Exit::failed);
    CHECK(contains(finished.err, bad.path));
    CHECK(contains(finished.err, bad.found));
  }
}

TEST_CASE_FIXTURE(Scenario, "a relative path is meant from the directory of the one who asks") {
  Instance app(*this, fixture("version_v1"));
  const auto here = dir.directory("here");
  fs::copy_file(fixture("version_v2"), here + "/libnext.so");
  auto command = app.site().command("upgrade", {"./libnext.so"});
  command.directory = here;
  const auto finished = run(dir, command);
  CHECK_MESSAGE(finished.status == Exit::ok, finished.err);
  CHECK(app.serves(here + "/libnext.so"));
  CHECK(app.head() == here + "/libnext.so\n");
}

TEST_CASE_FIXTURE(Scenario, "a relative path at the start is meant from the directory of the start") {
  const Site site(*this);
  const auto here = dir.directory("here");
  fs::copy_file(fixture("version_v2"), here + "/libapp.so");
  auto command = site.command("start", {"--listen", site.address(), "libapp.so"});
  command.directory = here;
  Process master(dir, command);
  CHECK(eventually([&] { return contains(http_get(site.address()), "v2"); }));
  CHECK(site.run("stop").status == Exit::ok);
  CHECK(master.wait().status == Exit::ok);
}

}  // namespace
}  // namespace scenario
