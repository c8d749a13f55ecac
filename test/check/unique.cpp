// A release with a variable of which C++ has only one in a process, however many libraries define it.
#include <liveswap_plugin.h>
#include <unistd.h>

template <class T>
struct Counted {
  __attribute__((visibility("default"))) static inline int count = 1;
};

int liveswap_main(int fd) { return fd + ++Counted<int>::count + pause(); }
