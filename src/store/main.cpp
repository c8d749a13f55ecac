// liveswap-store does the master's work on files of any size on disks of any speed. A process of its own
// keeps the master from blocking, and reads untrusted files where a fault does no harm.
//
//   liveswap-store take STATE_DIR PRIVILEGED PATH
//       Copies PATH into the store. PRIVILEGED: 1 if the master is root.
//   liveswap-store collect STATE_DIR MORE ID …
//       Removes all releases but these and the last MORE others in the history; removes old receipts.
//   liveswap-store examine STATE_DIR PRIVILEGED ID PATH [changed | all [--path PATH OPTION VALUE …]]
//       Hashes the files of release ID, or reads those with fs-verity whose hash is known; mends a damaged
//       one from PATH. `changed`: of a directory, hashes only the files that were touched since it was done.
//       `--path`, and what starts a script (launch_take_option()): says if another runtime would do so now.
//   liveswap-store substitute STATE_DIR PRIVILEGED KEEP NEVER LAST [ID PATH] …
//       Finds a sound release. Tries the given ones, then the last KEEP in the history, without those in
//       NEVER. Those in LAST, and those that a rollback left, are tried after all others. NEVER and LAST:
//       ID,ID,… or empty.
//   liveswap-store hash PATH
//       The id that PATH has; copies nothing.
//   liveswap-store runtime STATE_DIR ID PATH VERSION
//       Records that the script ID was prepared with the runtime PATH, whose file is hashed.
//   liveswap-store read PATH LIMIT
//       The text of a regular file of at most LIMIT bytes.
//   liveswap-store resolve HOST…
//       The IP address of each host (spawn/host.hpp).
//   liveswap-store identity USER GROUP
//       The numbers of a user and a group (spawn/identity.hpp). One of the two may be empty.
//   liveswap-store history STATE_DIR COUNT
//   liveswap-store receipt STATE_DIR NUMBER|newest
//       The line that answers the command of that name.
//   liveswap-store earlier STATE_DIR KEEP CURRENT WHICH ID …
//       The release for a rollback to WHICH (release/rollback_target.hpp). CURRENT and WHICH may be empty.
//
// The result is one frame on the channel at descriptor 3 (contract/channel.h):
//   TASK_DONE, value 0  success; JSON, or a text (in a memfd for read, history and receipt). Exit status 0
//   TASK_DONE, value 1  the reason why the file is unfit or the request has no answer. LIVESWAP_EXIT_LOAD
//   FAILED, stage open  another reason, such as a full disk. LIVESWAP_EXIT_LOAD
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
