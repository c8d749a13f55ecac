#include "release/verity.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/unique_fd.hpp"
#include "release/family.hpp"
#include "release/seal.hpp"
#include "release/sha256.hpp"
#include "release/soundness.hpp"
#include "support.hpp"

namespace fs = std::filesystem;
using namespace liveswap;
using namespace liveswap::release;

namespace {

const std::string id(64, 'a'), other_id(64, 'b');
const std::string digest = "sha256:" + std::string(64, 'c');

// Whether the directory's file system has fs-verity. test/verity/run runs these tests on one that has.
bool has_verity(const TempDir& dir) {
  put(dir / "trial", "text");
  const auto fd = UniqueFd::adopt(::open((dir / "trial").c_str(), O_RDONLY | O_CLOEXEC));
  const bool has = enable_verity(fd.get());
  CHECK(has == !verity_digest(fd.get()).empty());
  if (!has) MESSAGE("left out: no fs-verity in /tmp");
  return has;
}

UniqueFd opened(const std::string& path) {
  return UniqueFd::adopt(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
}

// Replaces a file by one with other bytes of the same size.
void replace(const std::string& path, bool with_verity) {
  std::string bytes = get(path);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  put(path + ".new", bytes);
  if (with_verity) REQUIRE(enable_verity(opened(path + ".new").get()));
  fs::permissions(path + ".new", fs::perms{0444});
  fs::rename(path + ".new", path);
}

}  // namespace

TEST_CASE("fs-verity: hashes are known by digest, and only lines of both are read") {
  auto known = KnownDigests::parse(digest + " " + id + "\n");
  CHECK(known.hash_of(digest) == id);
  CHECK(known.hash_of("sha256:" + other_id) == "");
  CHECK(known.hash_of("") == "");
  CHECK(KnownDigests::parse(known.text()).text() == digest + " " + id + "\n");
  for (const std::string& text : {std::string(), std::string("\n \n\n"), digest, digest + " ",
                                  digest + "  " + id, "sha512:" + id + " " + id, id + " " + id,
                                  digest + " " + id + "x", digest + " " + id + " more", std::string(70, ' ')})
    CHECK_MESSAGE(KnownDigests::parse(text).text() == "", text);
  known.add("", other_id);
  known.add(digest, "no hash");
  CHECK(known.text() == digest + " " + id + "\n");
  known.add(KnownDigests::parse("sha256:" + id + " " + other_id));
  CHECK(known.hash_of("sha256:" + id) == other_id);
}

TEST_CASE("fs-verity: what is known of a release lies beside it, and grows") {
  const TempDir dir;
  const std::string place = dir / id;
  CHECK(KnownDigests::of(place).text() == "");
  KnownDigests().keep_for(place);
  CHECK_FALSE(fs::exists(digests_path(place)));
  KnownDigests::parse(digest + " " + id).keep_for(place);
  KnownDigests::parse("sha256:" + id + " " + other_id).keep_for(place);
  CHECK(KnownDigests::of(place).hash_of(digest) == id);
  CHECK(KnownDigests::of(place).hash_of("sha256:" + id) == other_id);
  CHECK(release_of_digests(id + ".verity") == id);
  for (const std::string& name : {id, std::string(".verity"), id + "x.verity", id + ".verity.old"})
    CHECK(release_of_digests(name) == "");
}

TEST_CASE("fs-verity: what is known goes with the release") {
  const TempDir dir;
  put(dir / "srv/libapp.so", noise(5000, 1));
  const Store store(dir.path());
  const auto taken = store.take(dir / "srv/libapp.so", {}).value();
  const auto place = store.directory(taken.id);
  KnownDigests::parse(digest + " " + id).keep_for(place);
  REQUIRE(store.keep_only({taken.id}).has_value());
  CHECK(fs::exists(digests_path(place)));
  REQUIRE(store.keep_only({}).has_value());
  CHECK_FALSE(fs::exists(digests_path(place)));
  CHECK_FALSE(fs::exists(place));
}

TEST_CASE("fs-verity: without it, a digest that is known changes nothing") {
  const TempDir dir;
  put(dir / "r/libapp.so", noise(5000, 1));
  const auto hash = sha256_of(get(dir / "r/libapp.so"));
  put(digests_path(dir / "r"), digest + " " + hash + "\n");
  CHECK(check_bytes(dir / "r", "libapp.so", hash).has_value());
  put(dir / "r/libapp.so", noise(5000, 2));
  CHECK_FALSE(check_bytes(dir / "r", "libapp.so", hash).has_value());
}

TEST_CASE("fs-verity: a file that was taken can be written to by nobody, and its digest is known") {
  const TempDir dir;
  if (!has_verity(dir)) return;
  put(dir / "srv/libapp.so", noise(100'000, 1));
  const Store store(dir.path());
  const auto taken = store.take(dir / "srv/libapp.so", {}).value();
  CHECK(contains(taken.how, "fs-verity"));
  const auto found = verity_digest(opened(taken.file).get());
  CHECK(KnownDigests::of(store.directory(taken.id)).hash_of(found) == taken.id);
  CHECK(mode_of(taken.file) == 0444);
  fs::permissions(taken.file, fs::perms{0600});
  CHECK(::open(taken.file.c_str(), O_WRONLY | O_CLOEXEC) < 0);
  CHECK(errno == EPERM);
  CHECK(::truncate(taken.file.c_str(), 1) != 0);
}

TEST_CASE("fs-verity: the seal is of the content, whatever the times and links are") {
  const TempDir dir;
  if (!has_verity(dir)) return;
  put(dir / "srv/libapp.so", noise(100'000, 1));
  const Store store(dir.path());
  const auto taken = store.take(dir / "srv/libapp.so", {}).value();
  const auto place = store.directory(taken.id);
  REQUIRE(taken.seal != "");
  CHECK(seal_of(place).value() == taken.seal);
  REQUIRE(::utimensat(AT_FDCWD, taken.file.c_str(), nullptr, 0) == 0);
  fs::create_hard_link(taken.file, dir / "link");
  CHECK(seal_of(place).value() == taken.seal);
  replace(taken.file, true);
  CHECK(seal_of(place).value() != taken.seal);
}

TEST_CASE("fs-verity: a file in its place is refused, with fs-verity or without, and named") {
  const TempDir dir;
  if (!has_verity(dir)) return;
  for (const bool with_verity : {false, true}) {
    const std::string path = dir / (with_verity ? "with/libapp.so" : "without/libapp.so");
    put(path, noise(100'000, with_verity ? 1 : 2));
    const Store store(dir.path());
    const auto taken = store.take(path, {}).value();
    fs::remove(path);
    replace(taken.file, with_verity);
    const auto found = examine(store, {path, taken.id}, {});
    REQUIRE_FALSE(found.has_value());
    CHECK(found.error().differs);
    CHECK(contains(found.error().text, taken.file + " has the SHA-256 "));
    CHECK_FALSE(seal_of(store.directory(taken.id)).value() == taken.seal);
  }
}

TEST_CASE("fs-verity: a release of another version's store is hashed once, and known then") {
  const TempDir dir;
  if (!has_verity(dir)) return;
  put(dir / "srv/libapp.so", noise(100'000, 1));
  const Store store(dir.path());
  const auto taken = store.take(dir / "srv/libapp.so", {}).value();
  fs::remove(digests_path(store.directory(taken.id)));
  CHECK(examine(store, {dir / "srv/libapp.so", taken.id}, {}).value().mended == "");
  CHECK(KnownDigests::of(store.directory(taken.id)).hash_of(verity_digest(opened(taken.file).get())) ==
        taken.id);
}

TEST_CASE("fs-verity: two names of one content are one file") {
  const TempDir dir;
  if (!has_verity(dir)) return;
  put(dir / "srv/one.so", noise(100'000, 1));
  put(dir / "srv/two.so", noise(100'000, 1));
  const Store store(dir.path());
  const auto one = store.take(dir / "srv/one.so", {}).value(),
             two = store.take(dir / "srv/two.so", {}).value();
  CHECK(verity_digest(opened(one.file).get()) == verity_digest(opened(two.file).get()));
  CHECK(examine(store, {dir / "srv/two.so", two.id}, {}).has_value());
}
