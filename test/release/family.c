/* One library of a family: function NAME returns VALUE, plus what the function CALLS of the next library
 * returns, unless this is the last one. */
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
