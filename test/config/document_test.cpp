#include "config/document.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <random>

#include "shown.hpp"

using namespace liveswap::config;

namespace {

std::string error_in(const std::string& text) { return error_of(parse_document(text, "f")); }

std::string repeated(const std::string& part, std::size_t times) {
  std::string text;
  for (std::size_t i = 0; i < times; ++i) text += part;
  return text;
}

}  // namespace

TEST_CASE("a document is a tree with places") {
  const auto root = parse_document("# why\na: 1\nb:\n  - x\n  - {c: \"y z\"}\n", "f");
  REQUIRE(root);
  CHECK(root->kind == Node::Kind::map);
  REQUIRE(root->items.size() == 4);
  CHECK(root->items[1].text == "1");
  CHECK(root->items[2].line == 3);
  CHECK(root->items[2].column == 1);
  const Node& list = root->items[3];
  REQUIRE(list.items.size() == 2);
  CHECK(list.items[1].kind == Node::Kind::map);
  CHECK(list.items[1].items[1].text == "y z");
  CHECK(list.items[1].items[1].line == 5);
  CHECK(list.items[1].items[1].column == 9);
}

TEST_CASE("nothing is a document") {
  for (const char* text : {"", "\n\n", "# comment", "---\n", "---\n...\n", "\xef\xbb\xbf"}) {
    CAPTURE(text);
    const auto root = parse_document(text, "f");
    REQUIRE(root);
    CHECK(root->kind == Node::Kind::null);
  }
}

TEST_CASE("what no configuration needs is refused with its place") {
  CHECK(error_in("a: &x 1\nb: *x") == "f:2:4: found an alias, expected a value: aliases are not supported");
  CHECK(error_in("a: *x") == "f:1:4: the referenced anchor is not defined");
  CHECK(error_in("a: !!str x") == "f:1:4: found a tag, expected a value: tags are not supported");
  CHECK(error_in("a: !!map {}") == "f:1:4: found a tag, expected a value: tags are not supported");
  CHECK(error_in("[a]: b") == "f:1:1: found a list as a key, expected a word");
  CHECK(error_in("{a: b}: c") == "f:1:1: found a map as a key, expected a word");
  CHECK(error_in("~: c") == "f:1:1: found nothing as a key, expected a word");
  CHECK(error_in("a: 1\n---\nb: 2") ==
        "f:2:1: found more behind the end of the document, expected one document");
  CHECK(error_in("a: \"x\\0y\"") == "f:1:4: found a NUL character in a text");
}

TEST_CASE("bad syntax is reported with its place") {
  CHECK(error_in("a: b: c") == "f:1:5: illegal map value");
  CHECK(error_in("a: [b\nc: d") == "f:2:2: end of sequence flow not found");
  CHECK(error_in("a: \"b") == "f:1:6: illegal EOF in scalar");
}

TEST_CASE("a quote is closed") {
  CHECK(error_in("a: \"b\n") == "f:1:4: found a quote that is never closed");
  CHECK(error_in("b: 1\r\na: 'it''s\r\n") == "f:2:4: found a quote that is never closed");
  CHECK(error_in("\xef\xbb\xbf"
                 "a: \"b\\\"\n") == "f:1:4: found a quote that is never closed");
  for (const char* text :
       {"a: \"b\"", "a: 'it''s'", "a: \"\\\\\"\n", "a: b\"c", "a: |\n  \"c\n", "a: ''", "a: \"\"\n"}) {
    CAPTURE(text);
    CHECK(error_in(text) == "");
  }
}

TEST_CASE("binary junk is no text") {
  CHECK(error_in(std::string("a: 1\nb\0", 7)) == "f:2:2: found the byte 0x00, expected text in UTF-8");
  CHECK(error_in("\x7f"
                 "ELF") == "f:1:1: found the byte 0x7f, expected text in UTF-8");
  CHECK(error_in("\xff\xfe"
                 "a") == "f:1:1: found the byte 0xff, expected text in UTF-8");
  for (const char* text : {"\x80", "\xc3", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                           "\xf5\x80\x80\x80", "\xe2\x82", "\x04", "\x1b[0m"}) {
    CAPTURE(text);
    CHECK(error_in(text).find("f:1:1: found the byte 0x") == 0);
  }
  CHECK(error_in("a: ä€😀") == "");
}

TEST_CASE("a bomb of aliases ends at the first") {
  std::string bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n";
  for (char c = 'b'; c <= 'z'; ++c) {
    const std::string above(1, static_cast<char>(c - 1));
    bomb += std::string(1, c) + ": &" + c + " [" + repeated("*" + above + ", ", 9) + "*" + above + "]\n";
  }
  CHECK(error_in(bomb) == "f:2:8: found an alias, expected a value: aliases are not supported");
}

TEST_CASE("deep and wide documents end early") {
  CHECK(error_in(repeated("- ", 8) + "x") == "");
  CHECK(error_in(repeated("- ", 9) + "x") == "f:1:17: found more than 8 levels");
  CHECK(error_in(repeated("- x\n", 9'999)) == "");
  CHECK(error_in(repeated("- x\n", 10'000)) == "f:10000:3: found more than 10000 values");
}

TEST_CASE("a mebibyte of anything is read in seconds") {
  for (const char* part :
       {"[",       "{",    "[\n",   "- ",    "? ",  ": ",      "a: ",   "a:\n",         "\"",
        "'",       "a",    " ",     "\n",    "&a ", "*a ",     "!a ",   "[a,",          "{a: ",
        "\"a\": ", "--- ", "---\n", "|\n",   ">\n", "[\"a\",", "a b\n", "%TAG !a! b\n", "{[",
        "[[a]: ",  "\t",   "\r",    "a #\n", "]",   ",",       "@",     "- - \n"}) {
    CAPTURE(part);
    const auto text = repeated(part, 1024 * 1024 / std::string_view(part).size());
    const auto start = std::chrono::steady_clock::now();
    [[maybe_unused]] const auto root = parse_document(text, "f");
    // A hundred times the usual duration: the test finds a parser whose time grows with the square of the
    // length.
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(30));
  }
}

TEST_CASE("random bytes never do more than fail") {
  std::mt19937 random(20240607);
  const std::string alphabet = "ab:-[]{},#&*!|>'\"%@`? \n\t\\0~<=.\xc3\xa4";
  for (int round = 0; round < 20'000; ++round) {
    std::string text(random() % 64, '\0');
    for (char& c : text)
      c = round % 4 == 0 ? static_cast<char>(random()) : alphabet[random() % alphabet.size()];
    const auto root = parse_document(text, "f");
    if (!root) CHECK(root.error().text.find("f:") == 0);
  }
}
