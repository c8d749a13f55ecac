#ifndef LIVESWAP_LAUNCH_PACKAGE_JSON_H
#define LIVESWAP_LAUNCH_PACKAGE_JSON_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Whether package.json of the directory has a text `main` at its
 * top level. Only asks whether node can start the directory: node itself follows the path. Reads at most
 * 1 MiB. */
bool launch_package_has_main(const char* directory);

/* The same for the text of the file. Tolerates anything. */
bool launch_text_has_main(const char* text);

#ifdef __cplusplus
}
#endif

#endif
