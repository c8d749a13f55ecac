// Included before the headers of the worker host, which are C11: what of them C++ spells differently. Atomics
// in C's spelling come with C++23, so what includes this is compiled as that.
#pragma once

#include <stdatomic.h>

#define _Alignas alignas
#ifndef _Noreturn
#define _Noreturn [[noreturn]]
#endif
