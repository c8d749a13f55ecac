// The words of a script (control/words.h): with no control thread, whose part the test plays.
#include "../unit_worker.hpp"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <string>

#include "liveswap_plugin.h"

extern "C" {
#include "worker/api/holds.h"
#include "worker/api/readiness.h"
#include "worker/api/served.h"
#include "worker/control/words.h"
#include "worker/link/inbox.h"
}

using namespace liveswap;
using namespace liveswap::test;

namespace {

struct Script : UnitWorker {
  Script() {
    REQUIRE(holds_setup());
    REQUIRE(inbox_setup());
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    script = UniqueFd::adopt(ends[1]);
    words_setup(ends[0]);
  }
  void say(const std::string& text) const {
    REQUIRE(::send(script.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
    words_serve();
  }
  std::string hear() const {
    std::string text(200'000, '\0');
    std::size_t length = 0;
    for (ssize_t size = 1; size > 0; length += size > 0 ? static_cast<std::size_t>(size) : 0)
      size = ::recv(script.get(), text.data() + length, text.size() - length, MSG_DONTWAIT);
    return text.substr(0, length);
  }
  bool heard_frame(std::uint32_t kind) const {
    bool found = false;
    while (const auto frame = receive()) found |= frame->kind == kind;
    return found;
  }
  UniqueFd script;
};

}  // namespace

TEST_CASE("words: ready, also in two pieces, and not before the line ends") {
  CHECK(in_child([] {
    const Script script;
    readiness_enter(false);
    script.say("rea");
    REQUIRE_FALSE(readiness_is_shown());
    script.say("dy\n");
    REQUIRE(readiness_is_shown());
    REQUIRE(script.heard_frame(LIVESWAP_READY));
  }));
}

TEST_CASE("words: a defer that was written before the first wait comes before its report") {
  CHECK(in_child([] {
    const Script script;
    readiness_enter(false);
    const UniqueFd fd = listen_inet();
    const auto* held = hold(fd);
    // Written, but read by nobody yet.
    REQUIRE(::send(script.script.get(), "defer\n", 6, 0) == 6);
    readiness_note_wait(held);
    REQUIRE_FALSE(readiness_is_shown());
    script.say("ready\n");
    REQUIRE(readiness_is_shown());
  }));
}

TEST_CASE("words: served requests are counted, nonsense is not") {
  CHECK(in_child([] {
    const Script script;
    script.say("served 5 2\nserved 1 0\n");
    REQUIRE(served_count().served == 6);
    REQUIRE(served_count().failed == 2);
    script.say("served 2 3\nserved -1 0\nserved 99999999999999999999 0\nserved\nserve 1 0\n\n\n");
    script.say(std::string(1000, 'x') + "ready\n" + std::string("ready\0\n", 7) + "READY\n");
    REQUIRE(served_count().served == 6);
    REQUIRE(served_count().failed == 2);
    script.say("served 1 1\n");
    REQUIRE(served_count().failed == 3);
  }));
}

TEST_CASE("words: a hold keeps the worker until its release") {
  CHECK(in_child([] {
    const Script script;
    script.say("hold\nhold\nrelease\n");
    REQUIRE_FALSE(holds_none());
    script.say("release\n");
    REQUIRE(holds_none());
  }));
}

TEST_CASE("words: the order to drain is told once, and does not count as draining by itself") {
  CHECK(in_child([] {
    const Script script;
    REQUIRE(words_step() == -1);
    REQUIRE(script.hear().empty());
    drain_order(5000);
    REQUIRE(words_step() == -1);
    REQUIRE(script.hear() == "draining 5000\n");
    words_step();
    REQUIRE(script.hear().empty());
    REQUIRE_FALSE(drain_is_cooperative());
  }));
}

TEST_CASE("words: messages wait until they are wanted, and arrive whole although nobody reads for a while") {
  CHECK(in_child([] {
    const Script script;
    const std::string large(60'000, 'x');
    REQUIRE(inbox_put("a\nb", 3));
    words_step();
    REQUIRE(script.hear().empty());
    script.say("messages\n");
    words_step();
    REQUIRE(script.hear() == "message 3\na\nb");
    std::string expected;
    for (int i = 0; i < 3; ++i) {
      REQUIRE(inbox_put(large.data(), large.size()));
      expected += "message 60000\n" + large;
    }
    drain_order(-1);
    const int small = 4096;
    ::setsockopt(script.script.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    std::string found;
    for (int i = 0; i < 10'000 && found.size() < expected.size() + 12; ++i) {
      words_step();
      found += script.hear();
    }
    const auto at = found.find("draining -1\n");
    REQUIRE(at != std::string::npos);
    found.erase(at, 12);
    REQUIRE(found == expected);
  }));
}

TEST_CASE("words: a script that closes its end is no harm") {
  CHECK(in_child([] {
    Script script;
    script.script.reset();
    words_serve();
    REQUIRE(words_fd() == -1);
    drain_order(1000);
    REQUIRE(words_step() == -1);
    words_serve();
  }));
}
