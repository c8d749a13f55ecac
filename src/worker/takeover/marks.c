#include "marks.h"

_Atomic uint8_t marks_table[MARKS_MAX];
atomic_uint marks_changes;
