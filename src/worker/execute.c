#include "execute.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "contract/channel.h"
#include "launch/program_check.h"
#include "launch/resolve.h"
#include "launch/runtimes.h"
#include "worker/base/environment.h"
#include "worker/base/libc.h"
#include "worker/link/channel.h"

enum { WHY_SIZE = 2048 };

bool hook_find(char* path, size_t room, char* why, size_t why_size) {
  static const char name[] = "liveswap-hook.so";
  const ssize_t size = readlink("/proc/self/exe", path, room - 1);
  path[size > 0 ? size : 0] = '\0';
  char* const slash = strrchr(path, '/');
  if (slash == NULL || (size_t)(slash - path) + 1 + sizeof name > room) {
    snprintf(why, why_size, "cannot find %s beside liveswap-worker", name);
    return false;
  }
  memcpy(slash + 1, name, sizeof name);
  if (access(path, R_OK) != 0) {
    snprintf(why, why_size, "cannot read %s, which programs and scripts need: %s", path, strerror(errno));
    return false;
  }
  if (strpbrk(path, " :") == NULL) return true;
  snprintf(
      why, why_size,
      "%s has a blank or a colon in its path, which the dynamic loader takes for separators in LD_PRELOAD: "
      "install liveswap elsewhere to run programs and scripts",
      path);
  return false;
}

char* hook_preload(const char* hook, char* const* environment) {
  const char* const before = environment_value(environment, "LD_PRELOAD");
  char* text = NULL;
  const bool has_more = before != NULL && *before != '\0';
  const int size = asprintf(&text, "LD_PRELOAD=%s%s%s", hook, has_more ? ":" : "", has_more ? before : "");
  return size < 0 ? NULL : text;
}

/* argv: that of the runtime, the script, and the arguments of the application. A program gets the path that
 * the user has given: some look for their files by it, or are called by several names. */
static char** words_for(const struct launch_plan* plan, const struct options* options) {
  size_t at = 0;
  char** const words = calloc(LAUNCH_WORDS_MAX + (size_t)options->argument_count + 2, sizeof *words);
  if (words == NULL) return NULL;
  for (; plan->kind == LAUNCH_SCRIPT && plan->run[at] != NULL; ++at) words[at] = plan->run[at];
  const bool has_name = plan->kind == LAUNCH_PROGRAM && options->as != NULL;
  words[at++] = has_name ? options->as : (char*)plan->path;
  for (int i = 1; i < options->argument_count; ++i) words[at++] = options->arguments[i];
  return words;
}

/* A script gets one end of a pair of sockets, as it cannot call liveswap_plugin.h; the hook gets the other.
 * False: there are none. */
static bool make_words(const struct options* options, char** for_script, char** for_hook) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return false;
  return asprintf(for_script, WORDS_VARIABLE "=%d %d %" PRIu64, ends[1], options->slot, options->generation) >
             0 &&
         asprintf(for_hook, HOOK_WORDS "=%d %d", ends[0], ends[1]) > 0;
}

/* Python would write __pycache__ into the release in the store, which only root can; unless a variable of the
 * user's says where, or whether. */
static bool needs_no_bytecode(const struct launch_plan* plan, char* const* environment) {
  const struct launch_runtime* const runtime = launch_runtime_of_name(launch_base_name(plan->binary));
  return plan->kind == LAUNCH_SCRIPT && runtime != NULL && runtime == launch_runtime_of_ending("py") &&
         environment_value(environment, "PYTHONDONTWRITEBYTECODE") == NULL &&
         environment_value(environment, "PYTHONPYCACHEPREFIX") == NULL;
}

/* Those that the hook takes out are behind all others, so that their memory is not between those that the
 * program sees. */
static char** variables_for(const struct launch_plan* plan, const struct options* options, const char* hook) {
  static const char* const without[] = {"LD_PRELOAD", LIVESWAP_WORKER_VARIABLE, HOOK_RELEASE,
                                        HOOK_WORDS,   WORDS_VARIABLE,           NULL};
  char* const* const environment = options->launch.environment;
  const char* more[6];
  size_t count = 0;
  char* for_script = NULL;
  char* for_hook = NULL;
  char* words = NULL;
  char* release = NULL;
  char* const preload = hook_preload(hook, environment);
  if (preload == NULL || asprintf(&words, LIVESWAP_WORKER_VARIABLE "=%s", options->words) < 0 ||
      asprintf(&release, HOOK_RELEASE "=%s", options->path) < 0)
    return NULL;
  const bool has_words = plan->kind == LAUNCH_SCRIPT && make_words(options, &for_script, &for_hook);
  if (needs_no_bytecode(plan, environment)) more[count++] = "PYTHONDONTWRITEBYTECODE=1";
  if (has_words) more[count++] = for_script;
  more[count++] = preload;
  more[count++] = words;
  more[count++] = release;
  if (has_words) more[count++] = for_hook;
  return environment_join(environment, without, more, count);
}

/* channel_adopt() has made them close at an exec. */
static void keep_descriptors(void) {
  libc.fcntl(LIVESWAP_FD_CHANNEL, F_SETFD, 0);
  libc.fcntl(LIVESWAP_FD_LIFE, F_SETFD, 0);
}

/* Also here: a respawn and a rollback have no preflight, and the runtime may have got such rights since. The
 * kernel would then leave out the hook without a word. */
static void check_rights(const char* program) {
  char why[WHY_SIZE];
  const int fd = open(program, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd >= 0 && !launch_check_rights(fd, program, why, sizeof why))
    channel_fail(LIVESWAP_STAGE_LINK, "%s", why);
  if (fd >= 0) libc.close(fd);
}

static _Noreturn void execute(const struct launch_plan* plan, const struct options* options) {
  char hook[PATH_MAX];
  char why[WHY_SIZE];
  if (options->words == NULL)
    channel_fail(LIVESWAP_STAGE_SPAWN, "a program needs the words in " LIVESWAP_WORKER_VARIABLE);
  if (!hook_find(hook, sizeof hook, why, sizeof why)) channel_fail(LIVESWAP_STAGE_SPAWN, "%s", why);
  char** const words = words_for(plan, options);
  char** const variables = variables_for(plan, options, hook);
  if (words == NULL || variables == NULL) channel_fail(LIVESWAP_STAGE_SPAWN, "%s", strerror(ENOMEM));
  channel_send_value(LIVESWAP_STAGED, LIVESWAP_STAGE_LINK);
  check_rights(plan->binary);
  keep_descriptors();
  execve(plan->program, words, variables);
  channel_fail(LIVESWAP_STAGE_LINK, "cannot execute %s: %s", plan->program, strerror(errno));
}

void execute_program(struct options* options) {
  static struct launch_plan plan;
  char why[WHY_SIZE];
  if (launch_resolve_kind(options->path, &options->launch) == LAUNCH_PLUGIN) return;
  channel_send(
      (struct liveswap_frame){
          .kind = LIVESWAP_STAGED, .value = LIVESWAP_STAGE_OPEN, .count = LIVESWAP_CHANNEL_VERSION},
      NULL, 0);
  if (!launch_resolve(options->path, &options->launch, &plan, why, sizeof why))
    channel_fail(LIVESWAP_STAGE_OPEN, "%s", why);
  if (plan.kind != LAUNCH_PLUGIN) execute(&plan, options);
}
