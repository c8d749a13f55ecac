#include "version.h"

int server_version(void) { return NUMBER; }
