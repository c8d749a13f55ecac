/* The function returns TEXT, which differs for each file; with INNER, the text of the library behind it. */
#ifdef INNER
const char* INNER(void);
__attribute__((visibility("default"))) const char* elsewhere_text(void) { return INNER(); }
#else
#ifndef NAME
#define NAME elsewhere_text
#endif
__attribute__((visibility("default"))) const char* NAME(void) { return TEXT; }
#endif
