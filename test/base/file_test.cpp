#include "base/file.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/remove_tree.hpp"
#include "base/system_libraries.hpp"
#include "base/unique_fd.hpp"
#include "test/support/temp_dir.hpp"

namespace fs = std::filesystem;
using namespace liveswap;
using liveswap::test::TempDir;

namespace {

void put(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

mode_t mode_of(const std::string& path) {
  struct stat info {};
  ::stat(path.c_str(), &info);
  return info.st_mode & 07777;
}

}  // namespace

TEST_CASE("a small file is read whole, up to its limit") {
  const TempDir dir;
  put(dir / "f", "12345");
  CHECK(read_small_file(dir / "f", 5).value() == "12345");
  CHECK(read_small_file(dir / "f", 4).error().text == (dir / "f") + " has more than 4 bytes");
}

TEST_CASE("what is no regular file is said, and never waited for") {
  const TempDir dir;
  REQUIRE(::mkfifo((dir / "fifo").c_str(), 0600) == 0);
  CHECK(read_small_file(dir / "fifo", 9).error().text.find("is a FIFO, not a regular file") !=
        std::string::npos);
  CHECK(read_small_file(dir / ".", 9).error().text.find("is a directory") != std::string::npos);
  CHECK(read_small_file("/dev/zero", 9).error().text.find("is a device") != std::string::npos);
  CHECK(read_small_file(dir / "none", 9).error().text ==
        "cannot open " + (dir / "none") + ": No such file or directory");
}

TEST_CASE("a file is replaced whole, with its mode, and leaves nothing beside it") {
  const TempDir dir;
  put(dir / "f", "old and longer");
  REQUIRE(replace_file(dir / "f", "new", 0640).has_value());
  CHECK(read_small_file(dir / "f", 99).value() == "new");
  CHECK(mode_of(dir / "f") == 0640);
  CHECK(std::distance(fs::directory_iterator(dir / ""), {}) == 1);
}

TEST_CASE("a file that cannot be replaced stays, and nothing is left beside it") {
  const TempDir dir;
  fs::create_directory(dir / "f");
  put(dir / "f/inside", "x");
  CHECK_FALSE(replace_file(dir / "f", "new", 0640).has_value());
  CHECK(fs::exists(dir / "f/inside"));
  CHECK(std::distance(fs::directory_iterator(dir / ""), {}) == 1);
}

TEST_CASE("a private directory is made with its mode, or checked") {
  const TempDir dir;
  REQUIRE(ensure_private_directory(dir / "a/b/c", 0077).has_value());
  CHECK(mode_of(dir / "a/b/c") == 0700);
  CHECK(ensure_private_directory(dir / "a/b/c", 0077).has_value());

  REQUIRE(::chmod((dir / "a/b/c").c_str(), 0770) == 0);
  CHECK(ensure_private_directory(dir / "a/b/c", 0077).error().text.find("has mode 0770") !=
        std::string::npos);

  fs::create_directory_symlink(dir / "a", dir / "link");
  CHECK(ensure_private_directory(dir / "link", 0077).error().text.find("is a symbolic link") !=
        std::string::npos);
  put(dir / "file", "");
  CHECK_FALSE(ensure_private_directory(dir / "file", 0077).has_value());
}

TEST_CASE("a relative path is meant from its base") {
  CHECK(absolute_path("./libapp.so", "/srv/app") == "/srv/app/libapp.so");
  CHECK(absolute_path("/opt/./libapp.so", "/srv/app") == "/opt/libapp.so");
  CHECK(absolute_path("../v2/libapp.so", "/srv/app") == "/srv/app/../v2/libapp.so");
}

TEST_CASE("the working directory has the name that the shell went there by, while that is its name") {
  TempDir dir;
  fs::create_directories(dir / "releases/1");
  fs::create_directories(dir / "releases/2");
  fs::create_directory_symlink("releases/1", dir / "current");
  const std::string before = fs::current_path();
  const char* pwd = ::getenv("PWD");
  const std::string pwd_before = pwd ? pwd : "";
  fs::current_path(dir / "current");
  const std::string physical = fs::canonical(dir / "releases/1");

  const auto with_pwd = [](const std::string& text) {
    ::setenv("PWD", text.c_str(), 1);
    return current_directory();
  };
  CHECK(with_pwd(dir / "current") == dir / "current");
  CHECK(with_pwd(dir / "current/") == dir / "current");
  CHECK(with_pwd(dir / "releases/2") == physical);
  CHECK(with_pwd("current") == physical);
  CHECK(with_pwd(dir / "releases/../current") == physical);
  CHECK(with_pwd("") == physical);
  // The link leads elsewhere now: $PWD does not name the working directory any more.
  fs::remove(dir / "current");
  fs::create_directory_symlink("releases/2", dir / "current");
  CHECK(with_pwd(dir / "current") == physical);
  ::unsetenv("PWD");
  CHECK(current_directory() == physical);

  fs::current_path(before);
  if (pwd) ::setenv("PWD", pwd_before.c_str(), 1);
}

TEST_CASE("which libraries are the system's") {
  for (const char* path :
       {"/lib/x86_64-linux-gnu/libm.so.6", "/usr/lib/jvm/lib/server/libjvm.so", "/usr/lib64/libz.so.1"})
    CHECK(is_system_library(path));
  for (const char* path : {"/opt/app/libx.so", "/home/me/lib/libx.so", "lib/libx.so",
                           "/usr/lib/../../opt/libx.so", "", "/libx.so"})
    CHECK_FALSE(is_system_library(path));
  // Debian's /etc/ld.so.conf.d/libc.conf lists /usr/local/lib.
  if (fs::exists("/etc/ld.so.conf.d/libc.conf") && fs::exists("/usr/local/lib"))
    CHECK(is_system_library("/usr/local/lib/libx.so"));
}

TEST_CASE("which libraries are the system's, by the name alone") {
  for (const char* path : {"/lib/x86_64-linux-gnu/libm.so.6", "/usr/lib64/libz.so.1"})
    CHECK(is_named_as_system_library(path));
  for (const char* path :
       {"/opt/app/libx.so", "lib/libx.so", "/usr/lib/../../opt/libx.so", "", "/", "/libx.so"})
    CHECK_FALSE(is_named_as_system_library(path));
  if (!fs::exists("/etc/ld.so.conf.d/libc.conf") || !fs::exists("/usr/local/lib")) return;
  CHECK(is_named_as_system_library("/usr/local/lib/libx.so"));
  CHECK_FALSE(is_named_as_system_library("/usr/local/lib/more/libx.so"));
  // A link to a system directory: only following the link shows that the library is the system's.
  const TempDir dir;
  fs::create_directory_symlink("/usr/local/lib", dir / "alias");
  CHECK(is_system_library(dir / "alias/libx.so"));
  CHECK_FALSE(is_named_as_system_library(dir / "alias/libx.so"));
}

TEST_CASE("a descriptor is closed once, and at the moment it is replaced") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  auto reader = UniqueFd::adopt(ends[0]);
  auto writer = UniqueFd::adopt(ends[1]);
  UniqueFd moved = std::move(writer);
  CHECK_FALSE(writer);
  CHECK(moved.get() == ends[1]);
  char byte = 0;
  moved = UniqueFd();
  CHECK(::read(reader.get(), &byte, 1) == 0);  // the end of file is there
  const int number = reader.release();
  CHECK_FALSE(reader);
  CHECK(::close(number) == 0);
}

TEST_CASE("a directory is removed although nobody may write to what is in it") {
  const TempDir dir;
  // Root may remove everything anyway.
  const bool is_root = ::geteuid() == 0;
  REQUIRE(::chmod(dir.path().c_str(), 0777) == 0);
  if (is_root) REQUIRE(::seteuid(65534) == 0);
  dir.write("t/a/b/f", "x");
  dir.write("outside/f", "x");
  fs::create_symlink(dir / "outside", dir / "t/a/link");
  for (const char* path : {"t/a/b", "t/a", "t"}) REQUIRE(::chmod((dir / path).c_str(), 0555) == 0);
  CHECK(remove_tree(dir / "t").has_value());
  CHECK_FALSE(fs::exists(dir / "t"));
  CHECK(fs::exists(dir / "outside/f"));
  CHECK(remove_tree(dir / "t").has_value());
  CHECK(remove_tree(dir / "outside/f").has_value());
  CHECK_FALSE(fs::exists(dir / "outside/f"));
  if (is_root) REQUIRE(::seteuid(0) == 0);
}
