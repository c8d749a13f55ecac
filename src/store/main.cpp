// liveswap-store: what the master has to do with files of any size on disks of any speed, in a process of its
// own, so that no disk ever holds up the master, and so that a file that nobody trusts yet is read where it
// can do no harm.
//
//   liveswap-store take STATE_DIR PRIVILEGED PATH       PRIVILEGED: 1 when the master is root
//   liveswap-store collect STATE_DIR MORE ID …          removes all releases but these and the last MORE
//   different ones
//                                                       that the history knows; and what is too old in the
//                                                       history
//   liveswap-store verify STATE_DIR PRIVILEGED ID PATH  Is release ID as it was taken? A damaged one is
//   copied again from PATH. liveswap-store substitute STATE_DIR PRIVILEGED KEEP NEVER LAST [ID PATH] …
//                                                       The first sound one of these releases, then of the
//                                                       last KEEP in the history; never one of NEVER. Those
//                                                       of LAST, and those that the history says somebody has
//                                                       rolled away from, come last. Both are ID,ID,… or
//                                                       empty.
//   liveswap-store hash PATH                            the id that PATH has; copies nothing
//   liveswap-store history STATE_DIR COUNT              the line that answers `history`
//   liveswap-store receipt STATE_DIR NUMBER|newest      the line that answers `receipt`
//   liveswap-store earlier STATE_DIR KEEP CURRENT WHICH ID …
//                                                       which release a rollback to WHICH goes to
//                                                       (release/earlier.hpp); CURRENT and WHICH may be empty
//
// One frame on the channel at descriptor 3 ends it (contract/channel.h): HOOK_DONE with value 0 and JSON (in
// a file, for history and receipt), or with 1 and the reason when the file to take is not fit for it or the
// question has no answer, or FAILED at the stage `open` with the reason, a full disk say. Exit status 0 after
// the first, LIVESWAP_EXIT_LOAD after the others.
#include <cstdio>
#include <exception>

#include "contract/channel.h"
#include "store/channel.hpp"
#include "store/work.hpp"

namespace {

using liveswap::store::Answer;
using liveswap::store::Failure;
using liveswap::store::Words;

Answer carry_out(const Words& words) {
  try {
    return liveswap::store::carry_out(words);
  } catch (const std::exception& failure) {
    return tl::unexpected<Failure>(Failure{{words[0] + ": " + failure.what()}, false});
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Words words(argv + (argc > 0 ? 1 : 0), argv + argc);
  if (!liveswap::store::is_usable(words) || !liveswap::store::adopt_channel()) {
    std::fputs("liveswap-store is started by the master: `liveswap start`\n", stderr);
    return LIVESWAP_EXIT_USAGE;
  }
  const auto answer = carry_out(words);
  if (answer) {
    const bool sent = answer->is_document ? liveswap::store::send_document(answer->text)
                                          : liveswap::store::send_done(answer->text);
    return sent ? 0 : LIVESWAP_EXIT_USAGE;
  }
  const auto& failure = answer.error();
  failure.is_refusal ? liveswap::store::send_refused(failure.text)
                     : liveswap::store::send_failed(failure.text);
  return LIVESWAP_EXIT_LOAD;
}
