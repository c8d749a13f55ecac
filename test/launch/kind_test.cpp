#include "launch/kind.h"

#include <doctest/doctest.h>
#include <elf.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "launch/find_program.h"
#include "launch/package_json.h"
#include "launch/runtimes.h"
#include "test/support/temp_dir.hpp"

namespace liveswap::test {
namespace {

launch_kind kind_of(const std::string& bytes, const std::string& name = "app") {
  const TempDir directory;
  const std::string path = directory / name;
  std::ofstream(path, std::ios::binary) << bytes;
  const auto fd = UniqueFd::adopt(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  REQUIRE(fd);
  return launch_kind_of(fd.get(), name.c_str());
}

// An ELF file of this machine with these segments; the dynamic section has this DT_FLAGS_1.
std::string elf(std::uint16_t type, bool interpreter, std::uint64_t flags_1 = 0) {
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_type = type;
  header.e_phoff = sizeof header;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 2;
  const Elf64_Dyn dynamic[2] = {{DT_FLAGS_1, {flags_1}}, {DT_NULL, {0}}};
  Elf64_Phdr segments[2]{};
  const std::uint64_t place = sizeof header + sizeof segments;
  const std::string loader = "/lib64/ld-linux-x86-64.so.2";
  segments[0].p_type = PT_DYNAMIC;
  segments[0].p_offset = place;
  segments[0].p_filesz = sizeof dynamic;
  segments[1].p_type = interpreter ? PT_INTERP : PT_NOTE;
  segments[1].p_offset = place + sizeof dynamic;
  segments[1].p_filesz = loader.size() + 1;
  const auto bytes = [](const auto& value) {
    return std::string(reinterpret_cast<const char*>(&value), sizeof value);
  };
  return bytes(header) + bytes(segments) + bytes(dynamic) + loader + std::string(1, '\0');
}

TEST_CASE("kind: an ELF file") {
  CHECK(kind_of(elf(ET_DYN, false)) == LAUNCH_PLUGIN);
  CHECK(kind_of(elf(ET_DYN, false), "app.js") == LAUNCH_PLUGIN);
  CHECK(kind_of(elf(ET_DYN, true, DF_1_PIE)) == LAUNCH_PROGRAM);
  CHECK(kind_of(elf(ET_DYN, true, DF_1_PIE | DF_1_NOW), "libapp.so") == LAUNCH_PROGRAM);
  CHECK(kind_of(elf(ET_DYN, false, DF_1_PIE)) == LAUNCH_PROGRAM);  // static
  CHECK(kind_of(elf(ET_EXEC, true)) == LAUNCH_PROGRAM);
  CHECK(kind_of(elf(ET_EXEC, false)) == LAUNCH_PROGRAM);
  CHECK(kind_of(elf(ET_DYN, true)) == LAUNCH_UNCLEAR);
  CHECK(kind_of(elf(ET_REL, false)) == LAUNCH_PLUGIN);
}

TEST_CASE("kind: a damaged ELF file is a plugin, so that the worker host says what is wrong") {
  const std::string whole = elf(ET_DYN, true, DF_1_PIE);
  for (const std::size_t size : {std::size_t{4}, std::size_t{5}, sizeof(Elf64_Ehdr) - 1})
    CHECK(kind_of(whole.substr(0, size)) == LAUNCH_PLUGIN);
  for (std::size_t size = sizeof(Elf64_Ehdr); size < whole.size(); ++size) {
    const auto kind = kind_of(whole.substr(0, size));
    CHECK((kind == LAUNCH_PLUGIN || kind == LAUNCH_PROGRAM || kind == LAUNCH_UNCLEAR));
  }
  std::string other_class = whole;
  other_class[EI_CLASS] = ELFCLASS32;
  CHECK(kind_of(other_class) == LAUNCH_PLUGIN);
}

TEST_CASE("kind: scripts") {
  for (const std::string name : {"a.js", "a.mjs", "a.cjs", "a.py", "a.pyz", "a.rb", "a.pl", "a.lua", "a.php",
                                 "a.jar", "a.sh", "x.so.js"})
    CHECK_MESSAGE(kind_of("text", name) == LAUNCH_SCRIPT, name);
  CHECK(kind_of("#!/usr/bin/perl\n", "server") == LAUNCH_SCRIPT);
  CHECK(kind_of("#!/usr/bin/perl\n", "server.txt") == LAUNCH_SCRIPT);
  CHECK(kind_of("text", "server") == LAUNCH_PLUGIN);
  CHECK(kind_of("text", ".js") == LAUNCH_PLUGIN);
  CHECK(kind_of("", "a.txt") == LAUNCH_PLUGIN);
  // A library's name says what was meant.
  CHECK(kind_of("#!/bin/sh\n", "libapp.so") == LAUNCH_PLUGIN);
  CHECK(kind_of("#!/bin/sh\n", "libapp.so.1") == LAUNCH_PLUGIN);
}

TEST_CASE("kind: the interpreter of an ELF file") {
  const TempDir directory;
  char text[256];
  std::ofstream(directory / "app", std::ios::binary) << elf(ET_DYN, true);
  const auto fd = UniqueFd::adopt(::open((directory / "app").c_str(), O_RDONLY | O_CLOEXEC));
  REQUIRE(launch_interpreter(fd.get(), text, sizeof text));
  CHECK(std::string(text) == "/lib64/ld-linux-x86-64.so.2");
  CHECK(!launch_interpreter(fd.get(), text, 5));
}

TEST_CASE("kind: words") {
  launch_kind kind = LAUNCH_UNCLEAR;
  CHECK(launch_kind_from_word("script", &kind));
  CHECK(kind == LAUNCH_SCRIPT);
  CHECK(!launch_kind_from_word("Script", &kind));
  CHECK(!launch_kind_from_word("", &kind));
}

TEST_CASE("runtimes: by the name of a program") {
  const auto of = [](const char* name) { return launch_runtime_of_name(name); };
  CHECK(of("python3.11") == launch_runtime_of_ending("py"));
  CHECK(of("python") == launch_runtime_of_ending("py"));
  CHECK(of("node") == launch_runtime_of_ending("js"));
  CHECK(of("nodejs") == launch_runtime_of_ending("mjs"));
  CHECK(of("ruby3.1") == launch_runtime_of_ending("rb"));
  CHECK(of("pythonist") == nullptr);
  CHECK(of("nodemon") == nullptr);
  CHECK(of("") == nullptr);
  CHECK(launch_is_shell("bash"));
  CHECK(!launch_is_shell("basher"));
}

std::vector<std::string> split(std::string line) {
  char* words[8];
  const auto count = launch_split_shebang(line.data(), words, 8);
  return {words, words + count};
}

TEST_CASE("#! lines") {
  using Words = std::vector<std::string>;
  CHECK(split("/usr/bin/perl") == Words{"/usr/bin/perl"});
  CHECK(split(" /usr/bin/perl  -w -T \r") == Words{"/usr/bin/perl", "-w -T"});
  CHECK(split("/usr/bin/env node") == Words{"node"});
  CHECK(split("/usr/bin/env -S node --enable-source-maps x") == Words{"node", "--enable-source-maps", "x"});
  CHECK(split("/usr/bin/env\tpython3\t-u") == Words{"python3", "-u"});
  CHECK(split("") == Words{});
  CHECK(split("   ") == Words{});
  CHECK(split("/usr/bin/env") == Words{});
}

TEST_CASE("package.json: whether there is a main") {
  CHECK(launch_text_has_main(R"({"name": "x", "main": "server.js"})"));
  CHECK(launch_text_has_main("{\"main\"\n:\n\"a\"}"));
  CHECK(!launch_text_has_main(R"({"scripts": {"main": "server.js"}})"));
  CHECK(!launch_text_has_main(R"({"name": "main", "x": ["main", "a"]})"));
  CHECK(!launch_text_has_main(R"({"main": null})"));
  CHECK(!launch_text_has_main(R"({"a": "\"main\": \"x\""})"));
  CHECK(!launch_text_has_main("{\"main"));
  CHECK(!launch_text_has_main("{\"main\":"));
  CHECK(!launch_text_has_main(""));
  CHECK(!launch_text_has_main("\"\\"));
}

}  // namespace
}  // namespace liveswap::test
