/* What it says is where its file differs. With INNER what is behind it says it. */
#ifdef INNER
const char* INNER(void);
__attribute__((visibility("default"))) const char* elsewhere_text(void) { return INNER(); }
#else
#ifndef NAME
#define NAME elsewhere_text
#endif
__attribute__((visibility("default"))) const char* NAME(void) { return TEXT; }
#endif
