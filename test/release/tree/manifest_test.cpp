#include "release/tree/manifest.hpp"

#include <doctest/doctest.h>

#include "../support.hpp"

using namespace liveswap::release;

namespace {

TreeEntry file(const std::string& path, const std::string& hash, unsigned mode = 0444) {
  TreeEntry entry;
  entry.path = path;
  entry.mode = mode;
  entry.hash = hash;
  return entry;
}

TreeEntry other(TreeEntry::Kind kind, const std::string& path, const std::string& target = "") {
  TreeEntry entry;
  entry.path = path;
  entry.kind = kind;
  entry.mode = kind == TreeEntry::Kind::directory ? 0555 : 0;
  entry.target = target;
  return entry;
}

const std::string a_hash(64, 'a'), b_hash(64, 'b');

}  // namespace

TEST_CASE("a manifest has one line for each entry, sorted by bytes") {
  const auto text =
      manifest_of({other(TreeEntry::Kind::directory, ""), file("z", a_hash), file("a", b_hash, 0555),
                   other(TreeEntry::Kind::link, "l", "../z"), other(TreeEntry::Kind::directory, "sub")});
  CHECK(text == "d 555 .\nd 555 ./sub\nf 444 " + a_hash + "  ./z\nf 555 " + b_hash + "  ./a\nl ./l//../z\n");
}

TEST_CASE("a manifest tells trees apart that differ in one link only") {
  CHECK(manifest_of({other(TreeEntry::Kind::link, "a -> b", "c")}) !=
        manifest_of({other(TreeEntry::Kind::link, "a", "b -> c")}));
  CHECK(manifest_of({other(TreeEntry::Kind::link, "a", "b//c")}) == "l ./a//b//c\n");
}

TEST_CASE("differences are told by name") {
  const auto before =
      manifest_of({other(TreeEntry::Kind::directory, ""), file("gone", a_hash), file("same", a_hash),
                   file("bytes", a_hash), file("x", a_hash), other(TreeEntry::Kind::link, "link", "a")});
  const auto after = manifest_of({other(TreeEntry::Kind::directory, ""), file("same", a_hash),
                                  file("bytes", b_hash), file("x", a_hash, 0555),
                                  other(TreeEntry::Kind::link, "link", "b"), file("new .file", a_hash)});
  const auto found = differences(before, after);
  CHECK(found.missing == std::vector<std::string>{"gone"});
  CHECK(found.added == std::vector<std::string>{"new .file"});
  CHECK(found.changed == std::vector<std::string>{"bytes", "link", "x"});
  CHECK_FALSE(found.only_added());
  CHECK(found.text() == "missing: gone; changed: bytes, link, x; added: new .file");
  CHECK(differences(before, before).text().empty());
  CHECK(differences("", after).only_added());
}

TEST_CASE("a damaged manifest is no harm") {
  for (const char* text : {"\n\n", "f", "l ./a", "x .", "d 555 .\nf 444 ./", " .", "f 444 \xff\xfe ./\xff"})
    CHECK_FALSE(differences(text, "f 444 " + a_hash + "  ./a\n").text().empty());
}

TEST_CASE("what is shown has nothing that a terminal obeys") {
  CHECK(printable("a\x1b[31m\nb\x7f") == "a\\x1b[31m\\x0ab\\x7f");
  CHECK(printable("gr\xc3\xbc\xc3\x9f") == "gr\xc3\xbc\xc3\x9f");
}
