#include "launch/resolve.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "launch/child_output.h"
#include "launch/program_check.h"
#include "test/support/temp_dir.hpp"

extern char** environ;

namespace liveswap::test {
namespace {

using Words = std::vector<std::string>;

// A directory with releases, and PATH with runtimes that only exist.
class Place {
 public:
  Place() : before_(std::getenv("PATH") ? std::getenv("PATH") : "") {
    std::filesystem::create_directory(directory_ / "bin");
    ::setenv("PATH", (directory_ / "bin").c_str(), 1);
    options_.environment = environ;
  }
  ~Place() { ::setenv("PATH", before_.c_str(), 1); }

  std::string write(const std::string& name, const std::string& text, int mode = 0644) const {
    const std::string path = directory_ / name;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path, std::ios::binary) << text;
    ::chmod(path.c_str(), static_cast<mode_t>(mode));
    return path;
  }
  // Not "#!": that would be followed.
  std::string install(const std::string& name) const { return write("bin/" + name, "binary", 0755); }
  std::string operator/(const std::string& name) const { return directory_ / name; }

  bool resolve(const std::string& path) {
    return launch_resolve(path.c_str(), &options_, plan_.get(), why_, sizeof why_);
  }
  Words run() const { return words(plan_->run); }
  Words check() const { return words(plan_->check); }
  const launch_plan& plan() const { return *plan_; }
  std::string why() const { return why_; }
  launch_options& options() { return options_; }

 private:
  static Words words(char* const* list) {
    Words found;
    for (; *list; ++list) found.emplace_back(*list);
    return found;
  }
  TempDir directory_;
  std::string before_;
  launch_options options_{};
  std::unique_ptr<launch_plan> plan_ = std::make_unique<launch_plan>();
  char why_[2048] = "";
};

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST_CASE_FIXTURE(Place, "a runtime that is given makes a script of a file that is no library") {
  install("deno");
  const auto kind_of = [&](const std::string& path) { return launch_resolve_kind(path.c_str(), &options()); };
  const std::string text = write("app.ts", "text"), named = write("libapp.so.2", "text"),
                    plain = write("app", "text");
  const std::string library = write("app.2", "\177ELF and more");
  for (const auto& path : {text, named, plain, library}) CHECK(kind_of(path) == LAUNCH_PLUGIN);
  SUBCASE("for the application") {
    options().runs[options().run_count++] = "=deno\x1frun";
    CHECK(kind_of(plain) == LAUNCH_SCRIPT);
  }
  SUBCASE("for the ending") { options().runs[options().run_count++] = "ts=deno\x1frun"; }
  CHECK(kind_of(text) == LAUNCH_SCRIPT);
  REQUIRE(resolve(text));
  CHECK(run() == Words{"deno", "run"});
  for (const auto& path : {named, library}) CHECK(kind_of(path) == LAUNCH_PLUGIN);
}

TEST_CASE("resolve: the usual runtime of an ending") {
  Place place;
  const auto node = place.install("node");
  REQUIRE_MESSAGE(place.resolve(place.write("index.js", "x")), place.why());
  CHECK(place.plan().kind == LAUNCH_SCRIPT);
  CHECK(place.plan().program == node);
  CHECK(place.plan().binary == node);
  CHECK(place.plan().path == place / "index.js");
  CHECK(place.run() == Words{"node"});
  CHECK(place.check() == Words{node, "--check"});
}

TEST_CASE("resolve: a runtime that is missing") {
  Place place;
  CHECK(!place.resolve(place.write("index.js", "x")));
  CHECK(has(place.why(), "needs the runtime node, which is not in the PATH"));
  CHECK(!place.resolve(place.write("server", "#!/no/such/interpreter\n")));
  CHECK(has(place.why(), "needs the runtime /no/such/interpreter, which is no executable file"));
  CHECK(!place.resolve(place.write("server.abc", "#!\n")));
  CHECK(has(place.why(), "no runtime is known"));
}

TEST_CASE("resolve: the second name of a runtime") {
  Place place;
  const auto nodejs = place.install("nodejs");
  REQUIRE(place.resolve(place.write("index.js", "x")));
  CHECK(place.run() == Words{"nodejs"});
}

TEST_CASE("resolve: the #! line comes before the ending, the options before both") {
  Place place;
  place.install("python3");
  const auto python = place.install("python3.9");
  const auto path = place.write("app.py", "#!/usr/bin/env -S python3.9 -u\n");
  REQUIRE_MESSAGE(place.resolve(path), place.why());
  CHECK(place.run() == Words{"python3.9", "-u"});
  CHECK(place.check()[0] == python);
  const auto other = place.install("pypy3");
  const std::string run = "py=" + other +
                          "\x1f-X\x1f"
                          "dev";
  place.options().runs[place.options().run_count++] = run.c_str();
  REQUIRE(place.resolve(path));
  CHECK(place.run() == Words{other, "-X", "dev"});
  CHECK(place.check().empty());  // the usual check is that of another program
  const std::string own = "=python3";
  place.options().runs[place.options().run_count++] = own.c_str();
  REQUIRE(place.resolve(path));
  CHECK(place.run() == Words{"python3"});
  const std::string check =
      "py=python3\x1f-m\x1f"
      "pyflakes";
  place.options().checks[place.options().check_count++] = check.c_str();
  REQUIRE(place.resolve(path));
  CHECK(place.check() == Words{"python3", "-m", "pyflakes"});
}

TEST_CASE("resolve: an ending that only the options know") {
  Place place;
  place.install("deno");
  const auto path = place.write("app.ts", "x");
  CHECK(launch_resolve_kind(path.c_str(), &place.options()) == LAUNCH_PLUGIN);
  place.options().runs[place.options().run_count++] = "ts=deno\x1frun";
  CHECK(launch_resolve_kind(path.c_str(), &place.options()) == LAUNCH_SCRIPT);
  REQUIRE(place.resolve(path));
  CHECK(place.run() == Words{"deno", "run"});
  CHECK(launch_resolve_kind((place / "none.ts").c_str(), &place.options()) == LAUNCH_PLUGIN);
}

TEST_CASE("resolve: shells are refused") {
  Place place;
  place.write("bin/wrapped", "#!/bin/sh\n", 0755);
  for (const auto& path : {place.write("a.sh", "x"), place.write("b", "#!/bin/bash -e\n"),
                           place.write("c", "#!/usr/bin/env sh\n")}) {
    CHECK(!place.resolve(path));
    CHECK(has(place.why(), "is a shell script"));
  }
  CHECK(!place.resolve(place.write("d", "#!/usr/bin/env wrapped\n")));
  CHECK(has(place.why(), "is a shell script, which starts another program"));
}

TEST_CASE("resolve: a shell script in the runtime's place is asked for the real one") {
  Place place;
  const auto real = place.install("real");
  place.write("bin/node", "#!/bin/sh\necho " + real + "\n", 0755);
  REQUIRE_MESSAGE(place.resolve(place.write("index.js", "x")), place.why());
  CHECK(place.plan().program == real);
  place.options().environment = nullptr;
  CHECK(!place.resolve(place / "index.js"));
  place.options().environment = environ;
  place.write("bin/node", "#!/bin/sh\necho none\n", 0755);
  CHECK(!place.resolve(place / "index.js"));
  place.write("bin/node", "#!/bin/sh\nexit 1\n", 0755);
  CHECK(!place.resolve(place / "index.js"));
}

TEST_CASE("resolve: a runtime that is a script of another one") {
  Place place;
  const auto ruby = place.install("ruby");
  const auto puma = place.write("bin/puma", "#!" + ruby + "\n", 0755);
  REQUIRE_MESSAGE(place.resolve(place.write("config.ru", "run App")), place.why());
  CHECK(place.plan().program == puma);
  CHECK(place.plan().binary == ruby);
  place.write("bin/puma", "#!" + puma + "\n", 0755);
  CHECK(!place.resolve(place / "config.ru"));
}

TEST_CASE("resolve: directories") {
  Place place;
  place.install("node");
  place.install("python3");
  place.install("puma");
  const auto path = place / "app";
  place.write("app/other.txt", "x");
  CHECK(!place.resolve(path));
  CHECK(has(place.why(), "nothing in the directory"));
  place.write("app/package.json", R"({"name": "x"})");
  CHECK(!place.resolve(path));
  place.write("app/package.json", R"({"main": "server.js"})");
  REQUIRE_MESSAGE(place.resolve(path), place.why());
  CHECK(place.plan().path == path);
  CHECK(place.run() == Words{"node"});
  place.write("app/__main__.py", "x");
  CHECK(!place.resolve(path));
  CHECK(has(place.why(), "--start FILE"));
  place.options().start = "__main__.py";
  REQUIRE(place.resolve(path));
  CHECK(place.plan().path == path + "/__main__.py");
  CHECK(place.run() == Words{"python3"});
  place.write("x.js", "x");
  place.write("app/a/y.js", "x");
  for (const char* start : {"/bin/ls", "/a/y.js", "../x.js", "a/../../x.js", "", ".."}) {
    place.options().start = start;
    CHECK_MESSAGE(!place.resolve(path), start);
    CHECK_MESSAGE(has(place.why(), "expected a path inside of the directory"), place.why());
  }
  place.options().start = "none.js";
  CHECK(!place.resolve(path));
  CHECK(has(place.why(), "has no file none.js"));
  place.options().start = "x.js";
  CHECK(!place.resolve(place.write("single.js", "x")));
  CHECK(has(place.why(), "is for a directory"));
}

TEST_CASE("resolve: what the user says about the kind holds") {
  Place place;
  place.install("node");
  const auto path = place.write("app", "text");
  CHECK(launch_resolve_kind(path.c_str(), &place.options()) == LAUNCH_PLUGIN);
  place.options().kind = "program";
  CHECK(launch_resolve_kind(path.c_str(), &place.options()) == LAUNCH_PROGRAM);
  place.options().kind = "script";
  CHECK(!place.resolve(path));
  place.options().runs[place.options().run_count++] = "=node";
  REQUIRE(place.resolve(path));
  CHECK(place.run() == Words{"node"});
}

TEST_CASE("resolve: too many or too long words are refused") {
  Place place;
  place.install("node");
  std::string many = "=node";
  for (int i = 0; i < 100; ++i) many += "\x1fx";
  place.options().runs[0] = many.c_str();
  place.options().run_count = 1;
  CHECK(!place.resolve(place.write("a.js", "x")));
  CHECK(has(place.why(), "is too long"));
  const std::string wide = "=" + std::string(20'000, 'x');
  place.options().runs[0] = wide.c_str();
  CHECK(!place.resolve(place / "a.js"));
}

TEST_CASE("child: output, errors and the status") {
  char out[16], err[16];
  const char* words[] = {"sh", "-c", "echo 12345678901234567890; echo error >&2; exit 3", nullptr};
  const int status =
      launch_child_output("/bin/sh", const_cast<char* const*>(words), environ, out, err, sizeof out);
  CHECK(WEXITSTATUS(status) == 3);
  CHECK(std::string(out) == "123456789012345");
  CHECK(std::string(err) == "error\n");
  CHECK(launch_child_output("/no/such/program", const_cast<char* const*>(words), environ, out, err, 16) ==
        CHILD_NOT_STARTED);
}

TEST_CASE("program: /usr/bin/env is fit, a text and a library are not") {
  char why[1024];
  Place place;
  // Not this one: it may be built with a sanitizer.
  const auto self = std::filesystem::canonical("/usr/bin/env").string();
  INFO(std::string(why));
  CHECK_MESSAGE(launch_check_program(self.c_str(), why, sizeof why), why);
  CHECK(!launch_check_program(place.write("text", "x").c_str(), why, sizeof why));
  CHECK(has(why, "is no ELF file"));
  CHECK(!launch_check_program((place / "none").c_str(), why, sizeof why));
  std::filesystem::copy_file(self, place / "other");
  std::filesystem::permissions(place / "other", std::filesystem::perms(04755));
  CHECK(!launch_check_program((place / "other").c_str(), why, sizeof why));
  CHECK(has(why, "is set-uid or set-gid (mode 4755)"));
}

}  // namespace
}  // namespace liveswap::test
