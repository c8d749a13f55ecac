#include "release/committed.hpp"

#include <doctest/doctest.h>

#include <filesystem>

#include "release/head.hpp"
#include "support.hpp"

namespace fs = std::filesystem;
using namespace liveswap;
using namespace liveswap::release;

namespace {

const std::string id_a(64, 'a');
const std::string id_b(64, 'b');
const std::string id_c(64, 'c');

struct State {
  TempDir dir;
  std::string head = dir / "HEAD";

  Result<void> commit(const std::string& path, const std::string& id) const {
    return release::commit(head, dir.path(), {path, id});
  }
  // As if the master was killed after writing the record and before writing HEAD.
  void commit_halfway(const std::string& path, const std::string& id) const {
    put(dir / "HEAD.elsewhere", get(head));
    REQUIRE(release::commit(dir / "HEAD.elsewhere", dir.path(), {path, id}).has_value());
  }
  std::string now() const {
    const auto read = read_committed(head, dir.path());
    return read ? read->path + " " + read->id.substr(0, 1) : read.error().text;
  }
};

}  // namespace

TEST_CASE("what is committed is the path of HEAD and the release that it was") {
  const State state;
  REQUIRE(state.commit("/srv/a.so", id_a).has_value());
  CHECK(get(state.head) == "/srv/a.so\n");
  CHECK(state.now() == "/srv/a.so a");
  REQUIRE(state.commit("/srv/b.so", id_b).has_value());
  CHECK(get(state.head) == "/srv/b.so\n");
  CHECK(state.now() == "/srv/b.so b");
  REQUIRE(state.commit("/srv/b.so", id_c).has_value());
  CHECK(state.now() == "/srv/b.so c");
}

TEST_CASE("killed between the two writes, the release before is still committed") {
  const State state;
  REQUIRE(state.commit("/srv/a.so", id_a).has_value());
  state.commit_halfway("/srv/b.so", id_b);
  CHECK(state.now() == "/srv/a.so a");
  state.commit_halfway("/srv/c.so", id_c);
  CHECK(state.now() == "/srv/a.so a");
  REQUIRE(state.commit("/srv/c.so", id_c).has_value());
  CHECK(state.now() == "/srv/c.so c");
}

TEST_CASE("the same path again is committed by its record") {
  const State state;
  REQUIRE(state.commit("/srv/a.so", id_a).has_value());
  state.commit_halfway("/srv/a.so", id_b);
  CHECK(state.now() == "/srv/a.so b");
}

TEST_CASE("killed at the very first commit, there is no HEAD") {
  const State state;
  state.commit_halfway("/srv/a.so", id_a);
  CHECK(contains(state.now(), "No such file or directory"));
}

TEST_CASE("a HEAD that somebody has edited names a path without a release") {
  const State state;
  REQUIRE(state.commit("/srv/a.so", id_a).has_value());
  put(state.head, "/srv/mine.so\n");
  CHECK(state.now() == "/srv/mine.so ");
  // … or to a release that the record still names.
  put(state.head, "/srv/a.so\n");
  CHECK(state.now() == "/srv/a.so a");
}

TEST_CASE("a damaged record costs the release, never HEAD") {
  const State state;
  REQUIRE(state.commit("/srv/a.so", id_a).has_value());
  for (const std::string& text :
       {std::string("garbage"), std::string("\0\0\0", 3), id_a + "  relative\n", id_a + "  /srv/a.so",
        id_a + " /srv/a.so\n", std::string(63, 'a') + "  /srv/a.so\n", id_a + "\n",
        std::string(100'000, 'x')}) {
    CAPTURE(text.substr(0, 80));
    put(state.dir / "committed", text);
    CHECK(state.now() == "/srv/a.so ");
  }
  fs::remove(state.dir / "committed");
  fs::create_directory(state.dir / "committed");
  CHECK(state.now() == "/srv/a.so ");
  fs::remove(state.dir / "committed");
  REQUIRE(state.commit("/srv/b.so", id_b).has_value());
  CHECK(state.now() == "/srv/b.so b");
}

TEST_CASE("what is no release is not committed") {
  const State state;
  REQUIRE(state.commit("/srv/a.so", id_a).has_value());
  const auto before = tree(state.dir.path());
  CHECK(contains(state.commit("/srv/b.so", "abc").error().text, "expected the id of a release"));
  CHECK(contains(state.commit("b.so", id_b).error().text, "expected an absolute path"));
  CHECK(contains(state.commit("/srv/b\n.so", id_b).error().text, "expected an absolute path"));
  CHECK(contains(state.commit("", id_b).error().text, "expected an absolute path"));
  CHECK(tree(state.dir.path()) == before);
}

TEST_CASE("a path is recorded byte for byte") {
  const State state;
  const std::string odd = "/srv/\xff\xfe  two spaces/lib\"\\app.so";
  REQUIRE(state.commit(odd, id_a).has_value());
  CHECK(read_committed(state.head, state.dir.path())->path == odd);
  CHECK(read_committed(state.head, state.dir.path())->id == id_a);
}

TEST_CASE("a HEAD that cannot be written leaves the release before") {
  const State state;
  REQUIRE(state.commit("/srv/a.so", id_a).has_value());
  const std::string head = state.dir / "nowhere/HEAD";
  CHECK_FALSE(release::commit(head, state.dir.path(), {"/srv/b.so", id_b}).has_value());
}

TEST_CASE("what the record names without HEAD") {
  const State state;
  CHECK(newest_record(state.dir.path()).path == "");
  REQUIRE(state.commit("/srv/a.so", id_a).has_value());
  REQUIRE(state.commit("/srv/b.so", id_b).has_value());
  put(state.head, "");
  CHECK(newest_record(state.dir.path()).path == "/srv/b.so");
  CHECK(newest_record(state.dir.path()).id == id_b);
  put(state.dir / "committed", "damaged\n");
  CHECK(newest_record(state.dir.path()).path == "");
}
