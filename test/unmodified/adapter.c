/* All that a program needs instead of `--entry main`. */
#include <liveswap_plugin.h>

int main(int argc, char** argv);

int liveswap_main(int fd) {
  (void)fd;
  return main(liveswap_argc(), liveswap_argv());
}
