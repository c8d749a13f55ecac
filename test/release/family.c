/* One library of a family: `NAME` gives VALUE, and what the next one gives. `CALLS` names that, unless it is
 * the last. */
#ifdef CALLS
int CALLS(void);
#endif

__attribute__((visibility("default"))) int NAME(void) {
#ifdef CALLS
  return VALUE + CALLS();
#else
  return VALUE;
#endif
}
