/* A library that a test removes, or preloads. */
__attribute__((visibility("default"))) int value_of_a_library(void);
int value_of_a_library(void) { return 7; }
