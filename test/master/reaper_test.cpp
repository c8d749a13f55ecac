#include "master/uv/reaper.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <optional>

#include "ended_child.hpp"
#include "spawn/spawner.hpp"
#include "test_loop.hpp"

using namespace liveswap;
using namespace liveswap::master;
using liveswap::test::ended_child;

namespace {

bool is_there(pid_t child) { return ::kill(child, 0) == 0; }

UniqueFd pidfd_of(pid_t child) {
  auto pidfd = UniqueFd::adopt(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  REQUIRE(pidfd);
  return pidfd;
}

// Other tests are to be without it, also if this one fails.
struct NoSubreaperAfterwards {
  ~NoSubreaperAfterwards() { ::prctl(PR_SET_CHILD_SUBREAPER, 0); }
};

}  // namespace

TEST_CASE("reaper: children without an owner are reaped, also behind one that its owner has not reaped yet") {
  const NoSubreaperAfterwards afterwards;
  test::TestLoop loop;
  const pid_t claimed = ended_child();
  std::optional<spawn::Child> owned = spawn::adopt(claimed, pidfd_of(claimed));
  const pid_t early = ended_child();
  {
    Reaper reaper(loop);
    CHECK(is_there(early));
    CHECK(loop.until([&] { return !is_there(early); }));
    const pid_t late = ended_child();
    CHECK(loop.until([&] { return !is_there(late); }));
    CHECK(is_there(claimed));
    CHECK_FALSE(has_orphans());
    // The claimed child stays, and the reaper does not look again and again.
    CHECK(loop.until([&] { return !loop.has_timer(); }));
    CHECK(is_there(claimed));

    // From now on it has no owner. Another child's end makes the reaper look.
    owned.reset();
    CHECK(has_orphans());
    const pid_t last = ended_child();
    CHECK(loop.until([&] { return !is_there(last) && !is_there(claimed); }));
    CHECK_FALSE(has_orphans());
    CHECK(loop.until([&] { return !loop.has_timer(); }));
  }
}
