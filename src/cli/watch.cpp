#include "cli/watch.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <ctime>
#include <nlohmann/json.hpp>

#include "cli/duration_text.hpp"
#include "cli/fields.hpp"
#include "cli/printable.hpp"
#include "cli/status_table.hpp"
#include "cli/terminal.hpp"
#include "cli/watch_frame.hpp"
#include "cli/wrapped.hpp"
#include "client/command_line.hpp"
#include "client/connect_master.hpp"
#include "json/parse.hpp"

namespace liveswap::cli {
namespace {

using Clock = std::chrono::steady_clock;

// A hanging master must not freeze the display.
constexpr Milliseconds watch_answer_limit{2'000};

// Enter and leave the alternate screen; hide and show the cursor.
constexpr char enter[] = "\x1b[?1049h\x1b[?25l";
constexpr char leave[] = "\x1b[?25h\x1b[?1049l";

void write_raw(const char* bytes, std::size_t size) {
  [[maybe_unused]] const ssize_t written = ::write(STDOUT_FILENO, bytes, size);
}

void watch_signal(int number, void (*handler)(int), int flags);

// Restores the terminal and raises the signal again; SA_RESETHAND has restored its default action.
void end_or_stop(int number) {
  write_raw(leave, sizeof leave - 1);
  ::raise(number);
}

void go_on(int) {
  write_raw(enter, sizeof enter - 1);
  watch_signal(SIGTSTP, end_or_stop, SA_RESETHAND);
}

// Interrupts poll(), so that the page is drawn again.
void interrupt_wait(int) {}

void watch_signal(int number, void (*handler)(int), int flags) {
  struct sigaction action {
  }, before{};
  action.sa_handler = handler;
  action.sa_flags = flags;
  // A signal ignored at start (nohup) stays ignored.
  if (::sigaction(number, nullptr, &before) == 0 && before.sa_handler != SIG_IGN)
    ::sigaction(number, &action, nullptr);
}

// Uses the alternate screen during its lifetime.
class AlternateScreen {
 public:
  AlternateScreen() {
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGPIPE})
      watch_signal(number, end_or_stop, SA_RESETHAND);
    watch_signal(SIGCONT, go_on, 0);
    watch_signal(SIGWINCH, interrupt_wait, 0);
    write_raw(enter, sizeof enter - 1);
  }
  AlternateScreen(const AlternateScreen&) = delete;
  AlternateScreen& operator=(const AlternateScreen&) = delete;
  ~AlternateScreen() { write_raw(leave, sizeof leave - 1); }
};

// False: stdout has no reader any more.
bool wait(Milliseconds time) {
  pollfd out{STDOUT_FILENO, 0, 0};
  const int ready = ::poll(&out, 1, static_cast<int>(time.count()));
  return ready <= 0 || (out.revents & (POLLERR | POLLHUP | POLLNVAL)) == 0;
}

std::string clock_text() {
  const std::time_t now = std::time(nullptr);
  tm parts{};
  ::gmtime_r(&now, &parts);
  return fmt::format("{:02}:{:02}:{:02}Z", parts.tm_hour, parts.tm_min, parts.tm_sec);
}

class Watch {
 public:
  explicit Watch(const Arguments& arguments) : arguments_(arguments), where_(arguments.where) {
    if (where_.timeout.count() == 0) where_.timeout = watch_answer_limit;
  }

  Outcome look() {
    Outcome outcome = Client(where_).status();
    client::owner_notice() = {};  // report only once
    return outcome;
  }

  std::string json(const Outcome& outcome) const {
    if (outcome.status == ok) return printable_json(outcome.text) + "\n";
    return nlohmann::json{{"error", outcome.text}}.dump(-1, ' ', false,
                                                        nlohmann::json::error_handler_t::replace) +
           "\n";
  }

  // Heading, note about the master, and its latest status.
  std::string page(const Outcome& outcome, const Screen& screen) {
    const auto now = std::chrono::duration_cast<Milliseconds>(Clock::now().time_since_epoch());
    std::string note;
    if (outcome.status == ok) {
      last_ = outcome.text;
      note = master_.answered(number(json::parse_or_null(last_), "pid").value_or(0), now);
    } else {
      note = master_.unreachable(printable(outcome.text), now);
    }
    const std::string options = client::options_of(where_);
    std::string text = wrapped(fmt::format("liveswap status{}, every {}, {}", printable(options),
                                           duration_text(*arguments_.watch), clock_text()),
                               {screen.width, 0, screen.terminal}) +
                       "\n";
    if (!note.empty()) text += wrapped(note, {screen.width, 0, screen.terminal}) + "\n";
    if (outcome.status != ok) return text;
    const auto table = status_table(last_, options, screen);
    return text + "\n" + (table ? *table : table.error().text + "\n");
  }

 private:
  const Arguments& arguments_;
  Client::Where where_;
  MasterWatch master_;
  std::string last_;
};

}  // namespace

int run_watch(const Arguments& arguments) {
  Watch watch(arguments);
  Outcome outcome = watch.look();
  if (outcome.status != ok) {
    complain(outcome.text);
    return outcome.status;
  }
  const bool in_place = !arguments.json && draws_in_place();
  std::optional<AlternateScreen> other;
  if (in_place) other.emplace();
  for (bool first = true;; first = false) {
    const Screen size = screen(80);
    if (arguments.json) print(watch.json(outcome));
    else if (in_place) print(frame(watch.page(outcome, size), size));
    else print((first ? "" : "\n") + watch.page(outcome, size));
    if (!wait(*arguments.watch)) return ok;
    outcome = watch.look();
  }
}

}  // namespace liveswap::cli
