#include <doctest/doctest.h>
#include <sys/stat.h>

#include <algorithm>

#include "host.hpp"
#include "test/support/temp_dir.hpp"

using liveswap::test::TempDir;

namespace {

// SHA-256 of "abc" and of the empty string: the examples of FIPS 180-4.
const std::string abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const std::string nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

Answer with_list(const std::string& content, const std::string& file_content = "abc") {
  const TempDir directory;
  const Variable list("LIVESWAP_SHA256_LIST", directory.write("list", content));
  return ask(SHA256_LIST, directory.write("app.so", file_content));
}

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::toupper(c); });
  return text;
}

}  // namespace

TEST_CASE("sha256-list: a listed file keeps its path") {
  for (const auto& list : {abc + "  app.so\n", abc + "  app.so", abc + " *other name.so\r\n",
                           "# why\n\n  \n\t# more\n" + abc + "\tx\n", upper(abc) + "  app.so\n",
                           nothing + "  a\n" + abc + "  b\n" + nothing + "  c\n"}) {
    CAPTURE(list);
    const auto answer = with_list(list);
    CHECK(answer.calls == 1);
    CHECK(answer.error == "");
    CHECK(answer.kept);
  }
  CHECK(with_list(nothing + "  empty\n", "").kept);
}

TEST_CASE("sha256-list: another file is refused with what was found and what to do") {
  const TempDir directory;
  const auto list = directory.write("list", nothing + "  empty.so\n# " + abc + "  app.so\n");
  const auto file = directory.write("app.so", "abc");
  const Variable variable("LIVESWAP_SHA256_LIST", list);
  const auto answer = ask(SHA256_LIST, file);
  CHECK(answer.calls == 1);
  CHECK(answer.error == file + " has the SHA-256 " + abc + ", which is not in " + list +
                            ": if it may run, add the line that sha256sum " + file + " prints");
}

TEST_CASE("sha256-list: an empty list lets nothing through") {
  CHECK(with_list("").refused);
  CHECK(with_list("# nothing\n").refused);
}

TEST_CASE("sha256-list: a large file is read in pieces") {
  // SHA-256 of a million letters a: the long example of FIPS 180-4.
  CHECK(with_list("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0  a\n",
                  std::string(1'000'000, 'a'))
            .kept);
}

TEST_CASE("sha256-list: a damaged list lets nothing through") {
  for (const auto& line :
       {abc, abc + " ", abc.substr(1) + "  x", abc + "0  x", "z" + abc.substr(1) + "  x",
        std::string("garbage"), "SHA256 (app.so) = " + abc, "\\" + abc + "  x", " " + abc + "  x"}) {
    CAPTURE(line);
    const auto answer = with_list(abc + "  good\n\n" + line + "\n");
    CHECK(answer.calls == 1);
    CHECK(answer.error.find("/list:3: expected 64 hex digits, two spaces and a name, as sha256sum prints") !=
          std::string::npos);
  }
  CHECK(with_list(std::string(200'000, '\0')).refused);
}

TEST_CASE("sha256-list: a list has a bound") {
  const std::string line = abc + "  app.so\n";
  const std::string most = line + std::string(1024 * 1024 - line.size(), '\n');
  CHECK(with_list(most).kept);
  CHECK(with_list(most + "\n").error.find(" has more than 1048576 bytes, expected a shorter list") !=
        std::string::npos);
}

TEST_CASE("sha256-list: needs a list and a path") {
  const TempDir directory;
  const auto file = directory.write("app.so", "abc");
  CHECK(ask(SHA256_LIST, file).error ==
        "LIVESWAP_SHA256_LIST is not set: start the master with the path of the list in it");
  {
    const Variable empty("LIVESWAP_SHA256_LIST", "");
    CHECK(ask(SHA256_LIST, file).refused);
  }
  const Variable list("LIVESWAP_SHA256_LIST", directory.write("list", abc + "  app.so\n"));
  CHECK(ask(SHA256_LIST, "").error ==
        "no path was given, expected one to compare with " + directory / "list");
}

TEST_CASE("sha256-list: what is no regular file is refused at once") {
  const TempDir directory;
  const auto fifo = directory / "fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  const auto folder = directory / "folder";
  REQUIRE(::mkdir(folder.c_str(), 0700) == 0);
  const auto file = directory.write("app.so", "abc");
  const std::string missing = directory / "missing";
  const auto cases = {
      std::pair(fifo, fifo + " is a FIFO, expected a regular file"),
      std::pair(folder, folder + " is a directory, expected a regular file"),
      std::pair(std::string("/dev/zero"), std::string("/dev/zero is special, expected a regular file")),
      std::pair(missing, "cannot open " + missing + ": No such file or directory")};
  for (const auto& [path, error] : cases) {
    CAPTURE(path);
    {
      const Variable list("LIVESWAP_SHA256_LIST", directory.write("list", abc + "  app.so\n"));
      CHECK(ask(SHA256_LIST, path).error == error);
    }
    const Variable list("LIVESWAP_SHA256_LIST", path);
    CHECK(ask(SHA256_LIST, file).error == error);
  }
}
