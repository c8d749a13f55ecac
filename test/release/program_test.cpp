// liveswap-store as the master starts it.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "contract/channel.h"
#include "release/family.hpp"
#include "release/history.hpp"
#include "release/sha256.hpp"
#include "support.hpp"

namespace fs = std::filesystem;
using liveswap::UniqueFd;
using liveswap::release::History;
using Json = nlohmann::json;

namespace {

struct Outcome {
  int status = -1;
  std::uint32_t kind = 0;  // 0: no frame
  int value = -1;
  std::string text;
  std::string document;  // the content of the memfd that came with the frame
  Json json() const { return Json::parse(text, nullptr, false); }
};

// `channel`: -1 as if a user had started the program.
int run_with(int channel, std::vector<std::string> words) {
  words.insert(words.begin(), "liveswap-store");
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  if (channel >= 0) ::posix_spawn_file_actions_adddup2(&actions, channel, LIVESWAP_FD_CHANNEL);
  else ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t child = -1;
  REQUIRE(::posix_spawn(&child, STORE_PROGRAM, &actions, nullptr, arguments.data(), environ) == 0);
  ::posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

std::string content_of(const cmsghdr* rights) {
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(rights), sizeof fd);
  const auto file = UniqueFd::adopt(fd);
  std::string text(static_cast<std::size_t>(::lseek(file.get(), 0, SEEK_END)), '\0');
  REQUIRE(::pread(file.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
  return text;
}

Outcome run(const std::vector<std::string>& words) {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
  const auto mine = UniqueFd::adopt(ends[0]);
  auto theirs = UniqueFd::adopt(ends[1]);
  Outcome outcome;
  // Moves the channel away from the number at which the program expects it.
  const auto high = UniqueFd::adopt(::fcntl(theirs.get(), F_DUPFD_CLOEXEC, 20));
  theirs.reset();
  outcome.status = run_with(high.get(), words);
  std::string packet(sizeof(liveswap_frame) + LIVESWAP_TEXT_MAX, '\0');
  iovec place{packet.data(), packet.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &place;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t size = ::recvmsg(mine.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (const cmsghdr* rights = CMSG_FIRSTHDR(&message); size >= 0 && rights)
    outcome.document = content_of(rights);
  if (size < static_cast<ssize_t>(sizeof(liveswap_frame))) return outcome;
  const auto* frame = reinterpret_cast<const liveswap_frame*>(packet.data());
  outcome.kind = frame->kind;
  outcome.value = frame->value;
  outcome.text =
      packet.substr(sizeof(liveswap_frame), static_cast<std::size_t>(size) - sizeof(liveswap_frame));
  return outcome;
}

}  // namespace

TEST_CASE("liveswap-store takes a release and says which") {
  const TempDir dir;
  put_library("app", dir / "srv/libapp.so");
  put_library("inner", dir / "srv/libinner.so");
  put_library("deep", dir / "srv/sub/libdeep.so");
  put_library("back", dir / "srv/libback.so");
  const auto outcome = run({"take", dir.path(), "0", dir / "srv/libapp.so"});
  CHECK(outcome.status == 0);
  CHECK(outcome.kind == LIVESWAP_TASK_DONE);
  CHECK(outcome.value == 0);
  const auto answer = outcome.json();
  REQUIRE(answer.is_object());
  CHECK(answer["private_libraries"] == Json{"libback.so", "libinner.so", "sub/libdeep.so"});
  CHECK(liveswap::release::identify(answer["file"]).value() == answer["id"]);
  CHECK_FALSE(answer["how"].get<std::string>().empty());

  const auto hashed = run({"hash", dir / "srv/libapp.so"});
  CHECK(hashed.status == 0);
  CHECK(hashed.json() == Json{{"id", answer["id"]}});
}

TEST_CASE("liveswap-store takes a directory, hashes it and examines it") {
  const TempDir dir;
  put(dir / "srv/app/index.js", "one");
  const auto answer = run({"take", dir.path(), "0", dir / "srv/app"}).json();
  REQUIRE(answer.is_object());
  CHECK(answer["seal"] == "tree");
  CHECK(run({"hash", dir / "srv/app"}).json() == Json{{"id", answer["id"]}});
  const std::vector<std::string> words{"examine", dir.path(), "0", answer["id"], dir / "srv/app", "all"};
  auto changed = words;
  changed.back() = "changed";
  for (const auto& one : {words, changed}) CHECK(run(one).json()["seal"] == "tree");
  fs::remove_all(dir / "srv");
  fs::permissions(answer["file"].get<std::string>() + "/index.js", fs::perms{0666});
  for (const auto& one : {words, changed})
    CHECK(contains(run(one).json()["trouble"].get<std::string>(), "changed: index.js"));
  changed.back() = "other";
  CHECK(run_with(-1, changed) == LIVESWAP_EXIT_USAGE);
}

TEST_CASE("liveswap-store refuses a file that is not fit for it, and says what else has failed") {
  const TempDir dir;
  const auto missing = run({"take", dir.path(), "0", dir / "none.so"});
  CHECK(missing.status == LIVESWAP_EXIT_LOAD);
  CHECK(missing.kind == LIVESWAP_TASK_DONE);
  CHECK(missing.value == 1);
  CHECK(missing.text == "cannot open " + (dir / "none.so") + ": No such file or directory");

  put(dir / "free.so", "x");
  fs::permissions(dir / "free.so", fs::perms::all);
  const auto not_trusted = run({"take", dir.path(), "1", dir / "free.so"});
  CHECK(contains(not_trusted.text, "since the master runs as root"));
  CHECK(not_trusted.value == 1);
  const auto taken = run({"take", dir.path(), "0", dir / "free.so"});
  CHECK(taken.kind == LIVESWAP_TASK_DONE);
  CHECK(taken.value == 0);
  // The file is good, the store is not.
  const auto no_store = run({"take", dir / "free.so", "0", dir / "free.so"});
  CHECK(no_store.kind == LIVESWAP_FAILED);
  CHECK(no_store.value == LIVESWAP_STAGE_OPEN);
  CHECK(run({"hash", dir / "none.so"}).kind == LIVESWAP_FAILED);
}

TEST_CASE("liveswap-store reads a small file for the master, and looks up users, groups and hosts") {
  const TempDir dir;
  put(dir / "c.yaml", "forks: 2\n");
  const auto read = run({"read", dir / "c.yaml", "9"});
  CHECK(read.kind == LIVESWAP_TASK_DONE);
  CHECK(read.value == 0);
  CHECK(read.document == "forks: 2\n");
  for (const std::string& path : {dir / "c.yaml", dir / "none.yaml", dir.path()}) {
    const auto refused = run({"read", path, "8"});
    CHECK(refused.kind == LIVESWAP_TASK_DONE);
    CHECK(refused.value == 1);
    CHECK(contains(refused.text, path));
  }
  const auto root = run({"identity", "root", ""}).json();
  CHECK(root["user"] == 0);
  CHECK(root["groups"].is_array());
  CHECK(run({"identity", "12345", "23456"}).json() ==
        Json{{"user", 12345}, {"group", 23456}, {"groups", {23456}}});
  CHECK(run({"resolve", "127.0.0.1", "::1"}).json() ==
        Json{{"hosts",
              {{{"name", "127.0.0.1"}, {"address", "127.0.0.1"}}, {{"name", "::1"}, {"address", "::1"}}}}});
  const auto nowhere = run({"resolve", std::string(300, 'a')});
  CHECK(nowhere.value == 1);
  CHECK(nowhere.text.starts_with("cannot look up aaa"));
  const auto nobody = run({"identity", "no-such-user", ""});
  CHECK(nobody.value == 1);
  CHECK(nobody.text == "user: there is no user \"no-such-user\"");
}

TEST_CASE("liveswap-store removes what is not named, and nothing when a word is no id") {
  const TempDir dir;
  const std::string a(64, 'a');
  const std::string b(64, 'b');
  put(dir / ("releases/" + a + "/x"), "");
  put(dir / ("releases/" + b + "/x"), "");
  const auto wrong = run({"collect", dir.path(), "0", a, "abc"});
  CHECK(wrong.kind == LIVESWAP_FAILED);
  CHECK(contains(wrong.text, "\"abc\" is no id of a release"));
  CHECK(fs::exists(dir / ("releases/" + b)));
  CHECK(run({"collect", dir.path(), "0", a}).kind == LIVESWAP_TASK_DONE);
  CHECK(fs::exists(dir / ("releases/" + a)));
  CHECK_FALSE(fs::exists(dir / ("releases/" + b)));
}

TEST_CASE("liveswap-store keeps what the history knows beside what is named, and removes old receipts") {
  const TempDir dir;
  const std::string a(64, 'a'), b(64, 'b'), c(64, 'c');
  for (const auto& id : {a, b, c}) put(dir / ("releases/" + id + "/x"), "");
  History history(dir.path());
  for (const auto& id : {a, b, c})
    REQUIRE(history.add({{"outcome", "ok"}, {"to", {{"path", "/srv/x"}, {"id", id}}}}).has_value());
  put(dir / "history/2.json.Xa81fE", "half");
  CHECK(run({"collect", dir.path(), "1", c}).kind == LIVESWAP_TASK_DONE);
  CHECK(fs::exists(dir / ("releases/" + c)));
  CHECK(fs::exists(dir / ("releases/" + b)));
  CHECK_FALSE(fs::exists(dir / ("releases/" + a)));
  CHECK_FALSE(fs::exists(dir / "history/2.json.Xa81fE"));
}

TEST_CASE("liveswap-store answers what is asked of the history with a whole line, in a file") {
  const TempDir dir;
  History history(dir.path());
  CHECK(run({"receipt", dir.path(), "newest"}).value == 1);
  REQUIRE(history.add({{"outcome", "ok"}, {"slots", std::string(std::size_t{1} << 20, 'x')}}).has_value());
  const auto whole = run({"receipt", dir.path(), "1"});
  CHECK(whole.status == 0);
  CHECK(whole.document.back() == '\n');
  const auto answer = Json::parse(whole.document);
  CHECK(answer["cmd"] == "receipt");
  CHECK(answer["value"] == "OK");
  CHECK(answer["receipt"]["slots"].get<std::string>().size() == std::size_t{1} << 20);
  CHECK(Json::parse(run({"receipt", dir.path(), "newest"}).document) == answer);
  put(dir / "history/2.json", "{");
  const auto listed = Json::parse(run({"history", dir.path(), "20"}).document);
  CHECK(listed["history"].size() == 1);
  CHECK_FALSE(listed["history"][0].contains("slots"));
  CHECK(listed["left_out"] == 1);
  CHECK(listed["left_out_text"] == "1 damaged");
  const auto damaged = run({"receipt", dir.path(), "2"});
  CHECK(damaged.kind == LIVESWAP_TASK_DONE);
  CHECK(damaged.value == 1);
  CHECK(contains(damaged.text, "2.json is damaged"));
}

TEST_CASE("liveswap-store finds what a rollback goes to, and refuses with the reason") {
  const TempDir dir;
  const std::string a(64, 'a'), b(64, 'b');
  for (const auto& id : {a, b}) put(dir / ("releases/" + id + "/x"), "");
  History history(dir.path());
  for (const auto& id : {a, b})
    REQUIRE(history.add({{"outcome", "ok"}, {"to", {{"path", "/srv/x"}, {"id", id}}}}).has_value());
  REQUIRE(history.add({{"outcome", Json::object()}, {"to", {{"path", "/srv/x"}, {"id", a}}}}).has_value());
  REQUIRE(history.add({{"outcome", "ok"}, {"to", {{"path", 7}, {"id", a}}}}).has_value());
  const auto goes_to = [&](const std::string& which, const std::vector<std::string>& own = {}) {
    std::vector<std::string> words{"earlier", dir.path(), "9", b, which};
    words.insert(words.end(), own.begin(), own.end());
    const auto found = run(words);
    return found.value == 0 ? found.text : "refused: " + found.text;
  };
  const std::string found_a = Json{{"id", a}, {"path", "/srv/x"}}.dump();
  CHECK(goes_to("") == found_a);
  CHECK(goes_to("1") == found_a);
  CHECK(goes_to("aaaaaa") == found_a);
  CHECK(goes_to("", {b, a}) == Json{{"id", a}, {"path", ""}}.dump());
  CHECK(goes_to("AAAAAAAA", {b, a}) == Json{{"id", a}, {"path", ""}}.dump());
  CHECK(contains(goes_to("3"), "refused: number 3 of the history is no upgrade that succeeded"));
  CHECK(contains(goes_to("4"), "refused: number 4 of the history is no upgrade that succeeded"));
  CHECK(contains(goes_to("9"), "refused: there is no receipt 9"));
  CHECK(contains(goes_to("cccccc"), "refused: release cccccc: none in"));
}

TEST_CASE("liveswap-store finds a sound release, and last of all one that somebody has rolled away from") {
  const TempDir dir;
  History history(dir.path());
  std::map<char, std::string> ids;
  const auto file = [&](char name) { return dir / (std::string("srv/") + name + ".so"); };
  for (const char name : {'a', 'b', 'c', 'd'}) {
    put(file(name), noise(1000, static_cast<unsigned>(name)));
    ids[name] = run({"take", dir.path(), "0", file(name)}).json()["id"].get<std::string>();
  }
  const auto went = [&](const char* kind, char from, char to) {
    REQUIRE(history
                .add({{"kind", kind},
                      {"outcome", "ok"},
                      {"from", {{"path", file(from)}, {"id", ids[from]}}},
                      {"to", {{"path", file(to)}, {"id", ids[to]}}}})
                .has_value());
  };
  for (const char* step : {"ab", "bc"}) went("upgrade", step[0], step[1]);
  went("rollback", 'c', 'b');
  const auto found = [&](const std::string& never, const std::string& last,
                         std::vector<std::string> own = {}) {
    std::vector<std::string> words{"substitute", dir.path(), "0", "9", never, last};
    words.insert(words.end(), own.begin(), own.end());
    return run(words).json();
  };
  CHECK(found(ids['b'], "").value("id", "") == ids['c']);
  CHECK(found(ids['b'], "")["left"] == true);
  went("start", 'a', 'a');
  went("rollback", 'd', 'b');
  CHECK(found(ids['b'], "").value("id", "") == ids['a']);
  CHECK(found(ids['b'], "")["left"] == false);
  CHECK(found(ids['b'] + "," + ids['a'], "").value("id", "") == ids['c']);
  CHECK(found(ids['b'] + "," + ids['a'] + "," + ids['c'], "").empty());
  // The release that the master committed before comes first, unless the master has left it for good.
  CHECK(found(ids['b'], "", {ids['d'], file('d')}).value("id", "") == ids['d']);
  CHECK(found(ids['b'], ids['d'], {ids['d'], file('d')}).value("id", "") == ids['a']);
  put(dir / ("releases/" + ids['a'] + "/a.so"), "");
  put(file('a'), "");
  CHECK(found(ids['b'], ids['d'], {ids['d'], file('d')}).value("id", "") == ids['d']);
  CHECK(found(ids['b'], ids['d'], {ids['d'], file('d')})["left"] == true);
}

// A lease makes open() with O_NONBLOCK fail with "try again".
TEST_CASE(
    "liveswap-store says of a file that it cannot read now neither that it is sound nor that it differs") {
  const TempDir dir;
  put(dir / "srv/a.so", noise(1000, 1));
  const auto taken = run({"take", dir.path(), "0", dir / "srv/a.so"}).json();
  const std::vector<std::string> words{"examine", dir.path(), "0", taken["id"], dir / "srv/a.so", "all"};
  {
    const auto held = UniqueFd::adopt(::open(taken["file"].get<std::string>().c_str(), O_RDONLY | O_CLOEXEC));
    ::fcntl(held.get(), F_SETSIG, SIGURG);
    REQUIRE(::fcntl(held.get(), F_SETLEASE, F_WRLCK) == 0);
    CHECK(run(words).kind == LIVESWAP_FAILED);
    // Nor does the store look for a substitute, as if the release were missing.
    CHECK(run({"substitute", dir.path(), "0", "9", "", "", taken["id"], dir / "srv/a.so"}).kind ==
          LIVESWAP_FAILED);
  }
  CHECK(run(words).json()["seal"] == taken["seal"]);
  put(dir / "srv/a.so", "");
  put(taken["file"], "");
  CHECK(contains(run(words).json()["trouble"], "has the SHA-256"));
}

TEST_CASE("liveswap-store does nothing without a master or with other words") {
  const TempDir dir;
  put(dir / "f", "x");
  CHECK(run_with(-1, {"hash", dir / "f"}) == LIVESWAP_EXIT_USAGE);
  for (const std::vector<std::string>& words : {std::vector<std::string>{},
                                                {"take"},
                                                {"take", dir.path(), "2", dir / "f"},
                                                {"take", dir.path(), "0"},
                                                {"collect"},
                                                {"collect", dir.path(), "x"},
                                                {"history", dir.path(), "all"},
                                                {"receipt", dir.path(), "-1"},
                                                {"earlier", dir.path(), "5", ""},
                                                {"examine", dir.path(), "0", "x"},
                                                {"examine", dir.path(), "0", "x", dir / "f", "some"},
                                                {"substitute", dir.path(), "0", "9", "", "", "x"},
                                                {"hash"},
                                                {"read", dir / "f"},
                                                {"read", dir / "f", "x"},
                                                {"identity", "root"},
                                                {"resolve"},
                                                {"hash", "a", "b"},
                                                {"other", dir.path()}}) {
    const auto outcome = run(words);
    CHECK(outcome.status == LIVESWAP_EXIT_USAGE);
    CHECK(outcome.kind == 0);
  }
  CHECK_FALSE(fs::exists(dir / "releases"));
}

TEST_CASE("a path that is no UTF-8 is taken, and the answer can be read") {
  const TempDir dir;
  put(dir / "lib\xff.so", "x");
  const auto outcome = run({"take", dir.path(), "0", dir / "lib\xff.so"});
  CHECK(outcome.kind == LIVESWAP_TASK_DONE);
  REQUIRE(outcome.json().is_object());
  CHECK(fs::exists(dir / ("releases/" + outcome.json()["id"].get<std::string>() + "/lib\xff.so")));
}
