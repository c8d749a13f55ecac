#include "marks.h"

_Atomic uint16_t marks_table[MARKS_MAX];
atomic_uint marks_changes;
