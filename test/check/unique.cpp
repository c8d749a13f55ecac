// A release with a variable that C++ has once in a program, however many libraries bring it.
#include <liveswap_plugin.h>
#include <unistd.h>

template <class T>
struct Counted {
  __attribute__((visibility("default"))) static inline int count = 1;
};

int liveswap_main(int fd) { return fd + ++Counted<int>::count + pause(); }
