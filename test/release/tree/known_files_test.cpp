#include "release/tree/known_files.hpp"

#include <doctest/doctest.h>

#include <filesystem>

#include "../support.hpp"

using namespace liveswap::release;

namespace {

Stamp stamp(std::uint64_t inode, std::int64_t changed = 7) {
  Stamp one;
  one.device = 1;
  one.inode = inode;
  one.size = 5;
  one.modified = 6;
  one.changed = changed;
  return one;
}

const std::string some_hash(64, 'a'), other_hash(64, 'b');

}  // namespace

TEST_CASE("known files: only the same stamp has the hash") {
  KnownFiles known;
  known.add(stamp(1), some_hash);
  CHECK(known.hash_of(stamp(1)) == some_hash);
  CHECK(known.hash_of(stamp(2)).empty());
  for (const auto change : {&Stamp::modified, &Stamp::changed}) {
    Stamp later = stamp(1);
    later.*change += 1;
    CHECK(known.hash_of(later).empty());
  }
  Stamp longer = stamp(1);
  ++longer.size;
  CHECK(known.hash_of(longer).empty());
  known.forget(stamp(1));
  CHECK(known.hash_of(stamp(1)).empty());
}

TEST_CASE("known files: a link renews a stamp, a write does not") {
  KnownFiles known;
  known.add(stamp(1), some_hash);
  known.renew(stamp(1), stamp(1, 8));
  CHECK(known.hash_of(stamp(1, 8)) == some_hash);
  CHECK(known.hash_of(stamp(1)).empty());
  Stamp written = stamp(1, 9);
  written.modified += 1;
  known.renew(stamp(1, 8), written);
  CHECK(known.hash_of(written).empty());
  known.renew(stamp(3), stamp(3, 9));
  CHECK(known.hash_of(stamp(3, 9)).empty());
}

TEST_CASE("known files: they are kept, and what others have learned stays") {
  const TempDir dir;
  KnownFiles first = KnownFiles::of(dir.path()), second = KnownFiles::of(dir.path());
  first.add(stamp(1), some_hash);
  first.add(stamp(2), some_hash);
  first.keep_for(dir.path());
  second.add(stamp(3), other_hash);
  second.keep_for(dir.path());
  auto all = KnownFiles::of(dir.path());
  CHECK(all.hash_of(stamp(1)) == some_hash);
  CHECK(all.hash_of(stamp(3)) == other_hash);
  CHECK(mode_of(dir / ".hashes") == 0600);
  all.forget(stamp(1));
  all.keep_for(dir.path());
  CHECK(KnownFiles::of(dir.path()).hash_of(stamp(1)).empty());
  CHECK(KnownFiles::of(dir.path()).hash_of(stamp(2)) == some_hash);
}

TEST_CASE("known files: what does not fit is left out") {
  const std::string good = some_hash + " 1:1 5 6 7\n";
  CHECK(KnownFiles::parse(good).hash_of(stamp(1)) == some_hash);
  CHECK(KnownFiles::parse(KnownFiles::parse(good).text()).hash_of(stamp(1)) == some_hash);
  for (const std::string& text :
       {some_hash, some_hash + " 1:1 5 6", some_hash + " 1:1 5 6 7 8", some_hash + " 1 1 5 6 7",
        some_hash + " x:1 5 6 7", some_hash + " 1:1 5 6 7x", std::string(64, 'g') + " 1:1 5 6 7",
        some_hash + " 99999999999999999999999:1 5 6 7", std::string(1000, '\0')}) {
    CAPTURE(text);
    CHECK(KnownFiles::parse(text + "\n").text().empty());
    CHECK(KnownFiles::parse(text + "\n" + good).hash_of(stamp(1)) == some_hash);
  }
}
