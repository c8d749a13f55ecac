/* A private library of an application. */
#include <liveswap_plugin.h>

LIVESWAP_EXPORT int liveswap_test_private(void);
int liveswap_test_private(void) { return 0; }
