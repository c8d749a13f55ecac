/* The number of a version, for a server that is compiled once for all of them: version.c has it. */
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

int server_version(void);

#ifdef __cplusplus
}
#endif
