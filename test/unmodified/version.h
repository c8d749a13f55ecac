/* The version, for a server that is compiled once for all versions: version.c defines it. */
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

int server_version(void);

#ifdef __cplusplus
}
#endif
