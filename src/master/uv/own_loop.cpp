#include "master/uv/own_loop.hpp"

#include <signal.h>
#include <unistd.h>

#include <string_view>

#include "base/log.hpp"
#include "liveswap.hpp"

namespace liveswap::master {
namespace {

// The first uv_loop_init() of a process makes a pipe for signals, and libuv calls abort() if that fails.
// While this object exists, SIGABRT ends the process with an error message and the exit status of a failed
// start.
class EndInWords {
 public:
  EndInWords() {
    struct sigaction end {};
    end.sa_handler = [](int) {
      constexpr std::string_view text =
          "liveswap: cannot make an event loop: no descriptor or no memory is left for libuv\n";
      [[maybe_unused]] const auto written = ::write(log::descriptor(), text.data(), text.size());
      ::_exit(failed);
    };
    ::sigaction(SIGABRT, &end, &before_);
  }
  EndInWords(const EndInWords&) = delete;
  EndInWords& operator=(const EndInWords&) = delete;
  ~EndInWords() { ::sigaction(SIGABRT, &before_, nullptr); }

 private:
  struct sigaction before_ {};
};

int init_loop(uv_loop_t& loop) {
  const EndInWords end;
  return uv_loop_init(&loop);
}

}  // namespace

OwnLoop::OwnLoop() : usable_(init_loop(loop_) == 0) {}

}  // namespace liveswap::master
