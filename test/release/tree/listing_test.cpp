#include "release/tree/listing.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>

#include "../support.hpp"

namespace fs = std::filesystem;
using namespace liveswap;
using namespace liveswap::release;

namespace {

Listed list(const std::string& path, Trust trust = {}, const std::string& rules = "") {
  const auto fd = UniqueFd::adopt(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return list_source(fd.get(), path, trust, IgnoreRules::parse(rules, "rules").value());
}

std::string refusal(const std::string& path, Trust trust = {}) {
  const auto listed = list(path, trust);
  return listed ? "listed" : listed.error().text;
}

std::string names(const Listed& listed) {
  REQUIRE_MESSAGE(listed.has_value(), listed.error().text);
  std::string all;
  for (const auto& entry : *listed) all += "[" + entry.path + "]";
  return all;
}

}  // namespace

TEST_CASE("a tree: everything is listed, sorted, with the permissions of the copy") {
  const TempDir dir;
  put(dir / "t/b/run", "x");
  put(dir / "t/a.txt", "y");
  put(dir / "t/secret", "z");
  fs::create_directory(dir / "t/empty");
  fs::create_symlink("../a.txt", dir / "t/b/link");
  for (const char* directory : {"t", "t/b", "t/empty"}) ::chmod((dir / directory).c_str(), 0755);
  ::chmod((dir / "t/b/run").c_str(), 0755);
  ::chmod((dir / "t/a.txt").c_str(), 0664);
  ::chmod((dir / "t/secret").c_str(), 0600);
  const auto listed = list(dir / "t");
  CHECK(names(listed) == "[][a.txt][b][b/link][b/run][empty][secret]");
  const auto& all = *listed;
  CHECK(all[0].mode == 0555);
  CHECK(all[1].mode == 0444);
  CHECK(all[3].target == "../a.txt");
  CHECK(all[4].mode == 0555);
  CHECK(all[6].mode == 0400);
}

TEST_CASE("a tree: a copy is readable for nobody for whom the original is not") {
  using Kind = TreeEntry::Kind;
  for (const auto& [original, file, directory] : {std::tuple{0644u, 0444u, 0400u | 0100u},
                                                  {0755u, 0555u, 0555u},
                                                  {0640u, 0440u, 0500u},
                                                  {0750u, 0550u, 0550u},
                                                  {0600u, 0400u, 0500u},
                                                  {0700u, 0500u, 0500u},
                                                  {0604u, 0400u, 0500u},
                                                  {0777u, 0555u, 0555u},
                                                  {0666u, 0444u, 0500u},
                                                  {04755u, 0555u, 0555u},
                                                  {0000u, 0400u, 0500u}}) {
    CAPTURE(original);
    CHECK(stored_mode(Kind::file, original) == file);
    CHECK(stored_mode(Kind::directory, original) == directory);
  }
}

TEST_CASE(
    "a tree: what is neither file, directory nor link is refused by its name, and nothing is waited for") {
  const TempDir dir;
  fs::create_directory(dir / "t");
  SUBCASE("a FIFO") {
    REQUIRE(::mkfifo((dir / "t/pipe").c_str(), 0600) == 0);
    CHECK(contains(refusal(dir / "t"), (dir / "t/pipe") + " is a FIFO, expected files"));
  }
  SUBCASE("a socket") {
    const auto fd = UniqueFd::adopt(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, (dir / "t/socket").c_str());
    REQUIRE(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    CHECK(contains(refusal(dir / "t"), (dir / "t/socket") + " is a socket, expected files"));
  }
  SUBCASE("a device") {
    if (::mknod((dir / "t/null").c_str(), S_IFCHR | 0600, makedev(1, 3)) != 0) return;
    CHECK(contains(refusal(dir / "t"), (dir / "t/null") + " is a device, expected files"));
    CHECK(names(list(dir / "t", {}, "null")) == "[]");
  }
}

TEST_CASE("a tree: hostile names") {
  const TempDir dir;
  fs::create_directory(dir / "t");
  put(dir / "t/\xff\xfe", "not UTF-8");
  put(dir / "t/ -rf *", "a name like an option");
  put(dir / "t/back\\slash\ttab", "x");
  CHECK(names(list(dir / "t")) == "[][ -rf *][back\\slash\ttab][\xff\xfe]");
  put(dir / "t/sub/line\nbreak", "x");
  CHECK(contains(refusal(dir / "t"), (dir / "t/sub/line\\x0abreak") + " has a line break in its name"));
  fs::remove_all(dir / "t/sub");
  fs::create_symlink("a\nb", dir / "t/link");
  CHECK(contains(refusal(dir / "t"), "line break in its target"));
}

TEST_CASE("a tree: limits name what was found and what was expected") {
  const TempDir dir;
  std::string deep = dir / "t";
  for (std::size_t i = 0; i < tree_depth_limit; ++i) deep += "/d";
  put(deep, "x");
  CHECK(list(dir / "t").has_value());
  fs::remove(deep);
  put(deep + "/f", "x");
  CHECK(contains(refusal(dir / "t"), "is 101 directories below " + (dir / "t") + ", expected at most 100"));

  const std::string name(200, 'n');
  std::string path = dir / "long";
  for (int i = 0; i < 11; ++i) path += "/" + name;
  put(path, "x");
  CHECK(contains(refusal(dir / "long"),
                 "has 2210 bytes in its path below " + (dir / "long") + ", expected at most 2048"));

  put(dir / "large/a", "");
  put(dir / "large/b", "");
  REQUIRE(::truncate((dir / "large/a").c_str(), off_t{4} << 30) == 0);
  CHECK(list(dir / "large").has_value());
  put(dir / "large/b", "x");
  CHECK(contains(refusal(dir / "large"), "has more than 4294967296 bytes in its files"));
}

TEST_CASE("a tree: a directory with too many entries is refused") {
  // In memory, where 100,000 files take no time.
  std::string place = "/dev/shm/liveswap-test-XXXXXX";
  if (!::mkdtemp(place.data())) return;
  const std::shared_ptr<void> removal(nullptr, [&](void*) { fs::remove_all(place); });
  const auto top = UniqueFd::adopt(::open(place.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  put(place + "/f", "x");
  for (std::size_t i = 0; i < tree_entries_limit; ++i)
    REQUIRE(::linkat(top.get(), "f", top.get(), std::to_string(i).c_str(), 0) == 0);
  CHECK(contains(refusal(place), "has more than 100000 files and directories"));
}

TEST_CASE("a tree: root takes only what nobody else can write to, at any depth") {
  if (::geteuid() != 0) return;
  const TempDir dir;
  put(dir / "t/sub/f", "x");
  for (const char* path : {"t", "t/sub"}) ::chmod((dir / path).c_str(), 0755);
  ::chmod((dir / "t/sub/f").c_str(), 0644);
  CHECK(refusal(dir / "t", {true}) == "listed");
  for (const char* path : {"t", "t/sub", "t/sub/f"}) {
    CAPTURE(path);
    const auto mode = mode_of(dir / path);
    ::chmod((dir / path).c_str(), mode | S_IWOTH);
    CHECK(contains(refusal(dir / "t", {true}), (dir / path) + " has mode"));
    CHECK(refusal(dir / "t", {false}) == "listed");
    ::chmod((dir / path).c_str(), mode);
    REQUIRE(::chown((dir / path).c_str(), 65534, 65534) == 0);
    CHECK(contains(refusal(dir / "t", {true}), (dir / path) + " belongs to user 65534, expected root"));
    REQUIRE(::chown((dir / path).c_str(), 0, 0) == 0);
  }
}

TEST_CASE("a tree: links stay inside, or lead to the system") {
  for (const auto& [path, target] :
       std::initializer_list<std::pair<const char*, const char*>>{{"a", "b"},
                                                                  {"a", "./b/c"},
                                                                  {"a/b", "../c"},
                                                                  {"a/b/c", "../../d/e"},
                                                                  {"a/b", ".."},
                                                                  {"a", "/usr/bin/python3"},
                                                                  {"a", "/etc/ssl/certs"},
                                                                  {"a", "/lib/x86_64-linux-gnu/libc.so.6"},
                                                                  {"a", "/dev/null"}}) {
    CAPTURE(path);
    CAPTURE(target);
    CHECK(is_allowed_link(path, target));
  }
  for (const auto& [path, target] : std::initializer_list<std::pair<const char*, const char*>>{
           {"a", ".."},
           {"a", "../b"},
           {"a/b", "../../c"},
           {"a/b", "./.././../c"},
           {"a/b", "c/../../d"},  // c may be a link to the top
           {"a", "b/.."},
           {"a", "/home/user/file"},
           {"a", "/"},
           {"a", "/usr/../home/user"},
           {"a", "/usrx/bin"},
           {"a", "//home"},
           {"a", "/opt/python/bin/python3"}}) {
    CAPTURE(path);
    CAPTURE(target);
    CHECK_FALSE(is_allowed_link(path, target));
  }
}

TEST_CASE("a tree: a link that leads out is refused with its name, its target and what to do") {
  const TempDir dir;
  put(dir / "outside", "x");
  fs::create_directories(dir / "t/sub");
  fs::create_symlink(dir / "outside", dir / "t/sub/link");
  const auto text = refusal(dir / "t");
  CHECK(contains(text, (dir / "t/sub/link") + " is a symbolic link to " + (dir / "outside")));
  CHECK(contains(text, ".liveswapignore"));
  CHECK(names(list(dir / "t", {}, "/sub/link")) == "[][sub]");
}

TEST_CASE("a tree: what is left out is not looked at") {
  const TempDir dir;
  put(dir / "t/.git/HEAD", "x");
  put(dir / "t/sub/.git", "of a worktree");
  put(dir / "t/app.js", "x");
  REQUIRE(::mkfifo((dir / "t/pipe").c_str(), 0600) == 0);
  CHECK(names(list(dir / "t", {}, "pipe\n")) == "[][app.js][sub]");
}
