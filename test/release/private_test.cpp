#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "release/family.hpp"
#include "release/loaded.hpp"
#include "release/sha256.hpp"
#include "release/store.hpp"
#include "support.hpp"

namespace fs = std::filesystem;
using namespace liveswap;
using namespace liveswap::release;

namespace {

// app → inner ($ORIGIN) → sub/deep (RPATH $ORIGIN/sub) → back ($ORIGIN/.., which stays inside).
void put_family(const std::string& directory) {
  put_library("app", directory + "/libapp.so");
  put_library("inner", directory + "/libinner.so");
  put_library("deep", directory + "/sub/libdeep.so");
  put_library("back", directory + "/libback.so");
  put(directory + "/unrelated.so", "not needed by anybody");
}

constexpr int family_value = 1 + 2 + 4 + 8;

}  // namespace

TEST_CASE("private libraries are taken along, and the copy loads without the original") {
  const TempDir dir;
  put_family(dir / "srv");
  const Store store(dir.path());
  const auto taken = store.take(dir / "srv/libapp.so", {});
  REQUIRE_MESSAGE(taken.has_value(), taken.error().text);
  CHECK(taken->private_libraries == std::vector<std::string>{"libback.so", "libinner.so", "sub/libdeep.so"});
  const std::string place = dir / ("releases/" + taken->id);
  CHECK(tree(place).size() == 5);  // the four libraries and a directory
  CHECK(mode_of(place + "/sub") == 0755);
  CHECK(mode_of(place + "/sub/libdeep.so") == 0444);

  fs::remove_all(dir / "srv");
  CHECK(call_in_child(taken->file, "app", place) == family_value);
}

TEST_CASE("the id of a family is that of a text which sha256sum can print") {
  const TempDir dir;
  put_family(dir / "srv");
  const auto taken = Store(dir.path()).take(dir / "srv/libapp.so", {});
  REQUIRE(taken.has_value());
  std::string manifest;
  for (const std::string name : {"libapp.so", "libback.so", "libinner.so", "sub/libdeep.so"})
    manifest += sha256_of(get(dir / ("srv/" + name))) + "  " + name + "\n";
  CHECK(taken->id == sha256_of(manifest));
  CHECK(identify(dir / "srv/libapp.so").value() == taken->id);
  CHECK(identify(taken->file).value() == taken->id);
}

TEST_CASE("a private library that is rebuilt alone makes another release") {
  const TempDir dir;
  put_family(dir / "srv");
  const Store store(dir.path());
  const auto first = store.take(dir / "srv/libapp.so", {});
  put(dir / "srv/libback.so", get(dir / "srv/libback.so") + "rebuilt");
  const auto second = store.take(dir / "srv/libapp.so", {});
  REQUIRE(first.has_value());
  REQUIRE(second.has_value());
  CHECK(first->id != second->id);
  CHECK(call_in_child(first->file, "app", dir / ("releases/" + first->id)) == family_value);
}

TEST_CASE("a damaged or missing private library in the store is mended") {
  const TempDir dir;
  put_family(dir / "srv");
  const Store store(dir.path());
  const auto first = store.take(dir / "srv/libapp.so", {});
  REQUIRE(first.has_value());
  const auto sound = tree(dir / "releases");
  const std::string deep = dir / ("releases/" + first->id + "/sub/libdeep.so");
  SUBCASE("missing") { fs::remove_all(fs::path(deep).parent_path()); }
  SUBCASE("damaged") {
    REQUIRE(::chmod(deep.c_str(), 0600) == 0);
    put(deep, "damaged");
  }
  const auto again = store.take(dir / "srv/libapp.so", {});
  REQUIRE_MESSAGE(again.has_value(), again.error().text);
  CHECK(contains(again->how, "in place of a damaged copy"));
  CHECK(tree(dir / "releases") == sound);
}

TEST_CASE("an RPATH holds for the libraries that are found by it, as in the loader") {
  const TempDir dir;
  put_library("heir", dir / "srv/libheir.so");
  put_library("plain", dir / "srv/lib/libplain.so");
  put_library("back", dir / "srv/lib/libback.so");
  CHECK(call_in_child(dir / "srv/libheir.so", "heir", dir / "srv") == 32 + 16 + 1);
  const auto taken = Store(dir.path()).take(dir / "srv/libheir.so", {});
  REQUIRE(taken.has_value());
  CHECK(taken->private_libraries == std::vector<std::string>{"lib/libback.so", "lib/libplain.so"});
  fs::remove_all(dir / "srv");
  CHECK(call_in_child(taken->file, "heir", dir / "releases") == 32 + 16 + 1);
}

TEST_CASE("a library outside the directory is refused with advice, before anything is stored") {
  const TempDir dir;
  put_library("outside", dir / "srv/app/liboutside.so");
  put_library("back", dir / "srv/elsewhere/libback.so");
  const Store store(dir.path());
  const auto taken = store.take(dir / "srv/app/liboutside.so", {});
  REQUIRE_FALSE(taken.has_value());
  const auto text = taken.error().text;
  CHECK(contains(text, (dir / "srv/app/liboutside.so") + " needs libback.so"));
  CHECK(contains(text, "$ORIGIN/../elsewhere at " + (dir / "srv/elsewhere/libback.so")));
  CHECK(contains(text, "Put libback.so into " + (dir / "srv/app")));
  CHECK(contains(text, "-Wl,-rpath,'$ORIGIN'"));
  CHECK(fs::is_empty(dir / "releases"));

  // As for the loader, a missing directory in the path does no harm.
  fs::remove_all(dir / "srv/elsewhere");
  const auto without = store.take(dir / "srv/app/liboutside.so", {});
  REQUIRE(without.has_value());
  CHECK(without->private_libraries.empty());
}

TEST_CASE("libraries at an absolute path are taken into .needed, those that they need included") {
  const TempDir dir;
  const std::string remote = FAMILY "/remote";
  put_library("remote", dir / "srv/libremote.so");
  put_library("mid", remote + "/libmid.so");
  put_library("back", remote + "/deeper/libback.so");
  const Store store(dir.path());
  const auto taken = store.take(dir / "srv/libremote.so", {});
  REQUIRE_MESSAGE(taken.has_value(), taken.error().text);
  CHECK(taken->private_libraries == std::vector<std::string>{".needed/libback.so", ".needed/libmid.so"});
  const std::string needed = dir / ("releases/" + taken->id + "/.needed");
  CHECK(Store::needed(taken->file) == needed);
  CHECK(mode_of(needed) == 0755);
  CHECK(mode_of(needed + "/libmid.so") == 0444);
  CHECK(get(needed + "/libback.so") == get(remote + "/deeper/libback.so"));

  // With another build of a private library, the release is another one. The stored one needs none of the
  // files outside.
  put(remote + "/deeper/libback.so", get(remote + "/deeper/libback.so") + "rebuilt");
  CHECK(identify(dir / "srv/libremote.so").value() != taken->id);
  fs::remove_all(remote);
  CHECK(identify(taken->file).value() == taken->id);
  // Without the private libraries the id differs; the check will not be able to load this release.
  CHECK(store.take(dir / "srv/libremote.so", {})->private_libraries.empty());
}

TEST_CASE("a release without anything from elsewhere has no place for it") {
  const TempDir dir;
  put_family(dir / "srv");
  const auto taken = Store(dir.path()).take(dir / "srv/libapp.so", {});
  REQUIRE(taken.has_value());
  CHECK(Store::needed(taken->file) == "");
}

TEST_CASE("of what was loaded, what belongs neither to the release nor to the system is told") {
  const std::string release = "/state/releases/ab";
  const std::string good = "linux-vdso.so.1\n" + release + "/libapp.so\n" + release +
                           "/.needed/libx.so\n/lib/x86_64-linux-gnu/libm.so.6\n/usr/lib/libz.so.1\n";
  CHECK(outside_remark(good, release) == "");
  CHECK(outside_remark("", release) == "");
  CHECK(outside_remark(good + "/opt/libx.so\n", release).find("/opt/libx.so is not part of the release: ") ==
        0);
  CHECK(outside_remark("/o/1.so\nrel/2.so\n/o/3.so\n/o/4.so\n", release)
            .find("/o/1.so, rel/2.so, /o/3.so and 1 more are not part") == 0);
  // The named files are not looked up: a file system may not answer.
  if (!std::filesystem::exists("/etc/ld.so.conf.d/libc.conf") || !std::filesystem::exists("/usr/local/lib"))
    return;
  const TempDir dir;
  std::filesystem::create_directory_symlink("/usr/local/lib", dir / "alias");
  CHECK(outside_remark("/usr/local/lib/libx.so\n", release) == "");
  CHECK(outside_remark(dir / "alias/libx.so\n", release).find("alias/libx.so is not part") !=
        std::string::npos);
}

TEST_CASE("private libraries must be trusted as the first one is") {
  if (::geteuid() != 0) return;
  const TempDir dir;
  put_family(dir / "srv");
  REQUIRE(::chmod((dir / "srv/sub/libdeep.so").c_str(), 0666) == 0);
  const auto taken = Store(dir.path()).take(dir / "srv/libapp.so", {true});
  REQUIRE_FALSE(taken.has_value());
  CHECK(contains(taken.error().text, "sub/libdeep.so has mode 0666"));
}

TEST_CASE("a link in front of the last component is looked up once") {
  const TempDir dir;
  put_family(dir / "v1");
  put_family(dir / "v2");
  put(dir / "v2/libback.so", get(dir / "v2/libback.so") + "other");
  fs::create_directory_symlink("v1", dir / "current");
  const auto v1 = identify(dir / "v1/libapp.so").value();
  const auto v2 = identify(dir / "v2/libapp.so").value();
  bool first = true;
  const auto members =
      visit_family(dir / "current/libapp.so", {}, [&](const Source& source, const std::string&) {
        if (first) {
          fs::create_directory_symlink("v2", dir / "next");
          fs::rename(dir / "next", dir / "current");
        }
        first = false;
        return Result<Content>(Content{sha256_of_file(source.fd(), "").value(), read_needs(source.fd())});
      });
  REQUIRE(members.has_value());
  CHECK(v1 != v2);
  CHECK(id_of(*members) == v1);
}
