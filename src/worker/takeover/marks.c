#include "marks.h"
#include "special.h"

_Atomic uint16_t marks_table[MARKS_MAX];
atomic_uint marks_changes;
atomic_uint special_now = SPECIAL_LOOP;
