#pragma once

#include <uv.h>

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "base/log.hpp"

// Owning wrappers of libuv handles. A callback may destroy the wrapper: the memory lives until libuv's
// close callback.
namespace liveswap::master {

using Milliseconds = std::chrono::milliseconds;

// The time on a clock that never goes back.
inline Milliseconds now() {
  return std::chrono::duration_cast<Milliseconds>(std::chrono::nanoseconds(uv_hrtime()));
}

// Runs `work` and logs an exception, which must not pass libuv's C code. False: `work` has thrown.
template <class Work>
bool guarded(Work&& work) noexcept {
  try {
    work();
    return true;
  } catch (const std::exception& error) {
    log::seldom({"internal errors"}, log::Level::error, "internal error, gone on after it: {}", error.what());
  } catch (...) {
    log::seldom({"internal errors"}, log::Level::error, "internal error, gone on after it");
  }
  return false;
}

template <class Uv>
class Handle {
 public:
  Handle() : state_(new State) { state_->uv.data = state_; }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() {
    state_->callback = nullptr;
    if (!state_->open) {
      delete state_;
      return;
    }
    uv_close(reinterpret_cast<uv_handle_t*>(&state_->uv),
             [](uv_handle_t* handle) { delete static_cast<State*>(handle->data); });
  }

 protected:
  using Callback = std::function<void(int)>;
  struct State {
    Uv uv{};
    bool open = false;
    std::shared_ptr<const Callback> callback;
  };
  void set_callback(Callback callback) {
    state_->callback = std::make_shared<const Callback>(std::move(callback));
  }
  // Copies the callback, so that a callback may replace or destroy the stored one. Stops exceptions: libuv
  // is C, and an exception in one event must not end the process or the embedding program.
  static void call(void* data, int argument) noexcept {
    const auto callback = static_cast<State*>(data)->callback;
    guarded([&] {
      if (callback) (*callback)(argument);
    });
  }
  State* state_;
};

class Timer : public Handle<uv_timer_t> {
 public:
  explicit Timer(uv_loop_t& loop) { state_->open = uv_timer_init(&loop, &state_->uv) == 0; }
  void start(Milliseconds delay, std::function<void()> callback) {
    on_due(std::move(callback));
    start(delay);
  }
  // The same in two steps; the second cannot fail.
  void on_due(std::function<void()> callback) {
    set_callback([callback = std::move(callback)](int) { callback(); });
  }
  // Never due before now() + `delay`, also where the loop's own time, from which libuv counts, is older.
  void start(Milliseconds delay) {
    const Milliseconds loop_time(uv_now(state_->uv.loop));
    const auto wait = std::max(Milliseconds{0}, delay) + std::max(Milliseconds{0}, now() - loop_time);
    uv_timer_start(
        &state_->uv, [](uv_timer_t* timer) { call(timer->data, 0); },
        static_cast<std::uint64_t>(wait.count()), 0);
  }
  void stop() { uv_timer_stop(&state_->uv); }
};

// Watches a borrowed descriptor, which must outlive the poll. `callback` gets UV_READABLE | UV_WRITABLE; an
// error sets both.
class Poll : public Handle<uv_poll_t> {
 public:
  Poll(uv_loop_t& loop, int fd) { state_->open = uv_poll_init(&loop, &state_->uv, fd) == 0; }
  bool usable() const { return state_->open; }
  void start(int events, std::function<void(int)> callback) {
    set_callback(std::move(callback));
    watch(events);
  }
  void watch(int events) {
    if (!state_->open) return;
    uv_poll_start(&state_->uv, events, [](uv_poll_t* poll, int status, int ready) {
      call(poll->data, status < 0 ? UV_READABLE | UV_WRITABLE : ready);
    });
  }
  void stop() {
    if (state_->open) uv_poll_stop(&state_->uv);
  }
};

// Watches one file (owner, mode, names, link count), not the directory. The callback runs after each
// change.
class FileWatch : public Handle<uv_fs_event_t> {
 public:
  FileWatch(uv_loop_t& loop, const std::string& path, std::function<void()> callback) {
    state_->open = uv_fs_event_init(&loop, &state_->uv) == 0;
    set_callback([callback = std::move(callback)](int) { callback(); });
    usable_ = state_->open &&
              uv_fs_event_start(
                  &state_->uv, [](uv_fs_event_t* watch, const char*, int, int) { call(watch->data, 0); },
                  path.c_str(), 0) == 0;
  }
  // False: the file is missing or unreadable, or the system's limit on watches is reached.
  bool usable() const { return usable_; }

 private:
  bool usable_ = false;
};

class SignalWatch : public Handle<uv_signal_t> {
 public:
  SignalWatch(uv_loop_t& loop, int number, std::function<void()> callback) {
    state_->open = uv_signal_init(&loop, &state_->uv) == 0;
    set_callback([callback = std::move(callback)](int) { callback(); });
    uv_signal_start(
        &state_->uv, [](uv_signal_t* watch, int) { call(watch->data, 0); }, number);
  }
};

}  // namespace liveswap::master
