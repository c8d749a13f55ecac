#include "identity.h"

#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "liveswap_plugin.h"

static const struct options* self;

static void name_process(void) {
  enum { NAME_SIZE = 16 }; /* TASK_COMM_LEN, with the NUL */
  const char* slash = strrchr(self->path, '/');
  const char* base = slash != NULL ? slash + 1 : self->path;
  const int length = (int)strcspn(base, ".");
  char name[NAME_SIZE];
  if (self->mode == MODE_WORKER)
    snprintf(name, sizeof name, "lsw:%d/%llu %.*s", self->slot, (unsigned long long)self->generation, length,
             base);
  else if (self->mode == MODE_CHECK) snprintf(name, sizeof name, "lsw:check %.*s", length, base);
  else snprintf(name, sizeof name, "lsw:pre-upgrade"); /* fills all characters */
  prctl(PR_SET_NAME, name);
}

void identity_assume(const struct options* options) {
  self = options;
  /* A program keeps the name that it has without liveswap. */
  if (!options->is_program) name_process();
}

int liveswap_slot(void) { return self->slot; }
uint64_t liveswap_generation(void) { return self->generation; }
int liveswap_argc(void) { return self->argument_count; }
char** liveswap_argv(void) { return self->arguments; }
