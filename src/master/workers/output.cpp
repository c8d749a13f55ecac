#include "master/workers/output.hpp"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/write_at_once.hpp"
#include "master/state/worker_state.hpp"

namespace liveswap::master {
namespace {

// The default capacity of a pipe.
constexpr std::size_t read_size = 64 * 1024;

// The most that catch_up() reads, since left processes may go on writing: the largest capacity of a pipe.
constexpr std::size_t rest_limit = 1024 * 1024;
constexpr int rest_reads = 64;

// How many lines last() adds of a stream whose lines the other stream has pushed out of the common tail.
constexpr int lines_of_stream = 5;

// Before retrying a destination that took nothing.
constexpr Milliseconds retry_pause{20};

// Between two reads of discarded output: allows 64 MB/s.
constexpr Milliseconds rest_pause{1};

bool are_same(int one, int other) {
  struct stat first {
  }, second{};
  return ::fstat(one, &first) == 0 && ::fstat(other, &second) == 0 && first.st_dev == second.st_dev &&
         first.st_ino == second.st_ino;
}

// A piece that a pipe takes as a whole whenever poll() reports room, if possible up to a newline, so that
// other writers do not split a line.
std::string_view piece_of(std::string_view bytes) {
  if (bytes.size() <= PIPE_BUF) return bytes;
  const auto newline = bytes.rfind('\n', PIPE_BUF - 1);
  return bytes.substr(0, newline == std::string_view::npos ? std::size_t{PIPE_BUF} : newline + 1);
}

// How much `fd` took. Bytes that can never be written (closed pipe, full disk) count as taken.
std::size_t write_piece(int fd, std::string_view piece) {
  const ssize_t taken = write_at_once(fd, piece);
  if (taken >= 0) return static_cast<std::size_t>(taken);
  return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? 0 : piece.size();
}

std::string last_lines(const std::string& text, int count) {
  std::size_t begin = text.size();
  for (; count > 0 && begin != 0 && begin != std::string::npos; --count) begin = text.rfind('\n', begin - 1);
  return begin == std::string::npos || begin == 0 ? text : text.substr(begin + 1);
}

std::size_t write_now(int fd, std::string_view bytes) {
  struct stat what {};
  ::fstat(fd, &what);
  std::size_t written = 0;
  while (written < bytes.size()) {
    const auto rest = bytes.substr(written);
    const auto piece = S_ISREG(what.st_mode) ? rest : piece_of(rest);
    const auto taken = write_piece(fd, piece);
    written += taken;
    if (taken < piece.size()) break;
  }
  return written;
}

}  // namespace

Result<std::unique_ptr<Output>> Output::open(uv_loop_t& loop, spawn::Request& request) {
  std::unique_ptr<Output> output(new Output(loop));
  auto& wanted = request.descriptors;
  if (wanted.size() <= STDERR_FILENO) wanted.resize(STDERR_FILENO + 1, -1);
  const int out = wanted[STDOUT_FILENO], err = wanted[STDERR_FILENO];
  for (const int number : {STDOUT_FILENO, STDERR_FILENO}) {
    if (wanted[number] < 0) continue;
    const bool shared = number == STDERR_FILENO && out >= 0 && (out == err || are_same(out, err));
    if (!shared)
      if (auto added = output->add(wanted[number], request.identity); !added)
        return tl::unexpected<Error>(added.error());
    wanted[number] = output->streams_.back().child_end.get();
  }
  return output;
}

std::unique_ptr<Output> Output::adopt(uv_loop_t& loop, const state::OutputState& from) {
  std::unique_ptr<Output> output(new Output(loop));
  for (const auto& one : from.streams) {
    Stream& stream = output->streams_.emplace_back();
    stream.reader = UniqueFd::adopt(one.reader.number);
    stream.place = one.place;
    stream.waiting = one.waiting;
    stream.tail.append(one.tail);
  }
  output->tail_.append(from.tail);
  return output;
}

state::OutputState Output::save() const {
  state::OutputState into;
  for (const Stream& one : streams_)
    into.streams.push_back({{one.reader.get()}, one.place, one.waiting, one.tail.text()});
  into.tail = tail_.text();
  return into;
}

// The child's end is opened for reading too: the pipe always has a reader, so neither the child nor left
// processes get SIGPIPE when the master dies.
Result<void> Output::add(int place, const std::optional<spawn::Identity>& owner) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return os_fail("make a pipe for the output of", "a worker", errno);
  Stream& stream = streams_.emplace_back();
  stream.place = place;
  stream.reader = UniqueFd::adopt(ends[0]);
  stream.child_end = UniqueFd::adopt(ends[1]);
  const auto both_ways = "/proc/self/fd/" + std::to_string(stream.reader.get());
  if (auto reopened = UniqueFd::adopt(::open(both_ways.c_str(), O_RDWR | O_CLOEXEC)))
    stream.child_end = std::move(reopened);
  ::fcntl(stream.reader.get(), F_SETFL, O_NONBLOCK);  // the child's end has flags of its own
  if (owner && ::fchown(stream.reader.get(), owner->user, owner->group) != 0)
    return os_fail("give the output's pipe to", "the workers' user", errno);
  return {};
}

void Output::started() {
  for (Stream& stream : streams_) {
    stream.child_end.reset();
    if (!stream.reader) continue;
    stream.poll.emplace(loop_, stream.reader.get());
    stream.poll->start(UV_READABLE, [this, &stream](int) { on_readable(stream); });
    pass_on(stream);
  }
}

bool Output::usable() const {
  return std::all_of(streams_.begin(), streams_.end(), [](const Stream& stream) {
    return !stream.reader || (stream.poll && stream.poll->usable());
  });
}

// False: nothing to read, for now or for ever.
bool Output::read_once(Stream& stream) {
  static thread_local char buffer[read_size];
  if (!stream.reader) return false;
  const ssize_t size = ::read(stream.reader.get(), buffer, sizeof buffer);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (size <= 0) {
    stream.poll.reset();  // before closing: the poll uses the descriptor
    stream.reader.reset();
    return false;
  }
  const std::string_view bytes(buffer, static_cast<std::size_t>(size));
  if (std::exchange(read_last_, &stream) != &stream) tail_.begin_line();
  tail_.append(bytes);
  stream.tail.append(bytes);
  keep(stream, bytes);
  return true;
}

// Output that is cut off ends with a newline, for the next writer; not if nothing of it was passed on.
void Output::keep(Stream& stream, std::string_view bytes) {
  const auto kept = std::min(bytes.size(), room_);
  stream.waiting += bytes.substr(0, kept);
  if (kept < bytes.size() && left_out_ == 0 && limit_ > 0) stream.waiting += '\n';
  left_out_ += bytes.size() - kept;
  if (room_ != SIZE_MAX) room_ -= kept;
}

void Output::on_readable(Stream& stream) {
  read_once(stream);
  pass_on(stream);
  if (left_out_ > 0 && stream.poll && stream.waiting.empty()) {
    stream.resting = true;
    stream.poll->stop();
    retry_.start(rest_pause, [this] { try_again(); });
  }
  tell_end();
}

void Output::pass_on(Stream& stream) {
  if (stream.waiting.empty()) return;
  stream.waiting.erase(0, write_now(stream.place, stream.waiting));
  if (stream.waiting.empty()) return;
  if (stream.poll) stream.poll->stop();
  retry_.start(retry_pause, [this] { try_again(); });
}

void Output::try_again() {
  for (Stream& stream : streams_) {
    if (stream.waiting.empty() && !stream.resting) continue;
    pass_on(stream);
    if (!stream.waiting.empty()) continue;
    stream.resting = false;
    if (stream.poll) stream.poll->watch(UV_READABLE);
  }
  tell_end();
}

// If one stream writes much, the other's last lines may be missing from the common tail.
std::string Output::last() const {
  std::string text = tail_.text();
  for (const Stream& stream : streams_) {
    const std::string own = last_lines(stream.tail.text(), lines_of_stream);
    if (text.find(last_lines(own, 1)) == std::string::npos) text = own + "\n" + text;
  }
  return text;
}

void Output::add_line(std::string_view line) {
  for (Stream& stream : streams_) {
    if (!stream.waiting.empty()) continue;
    read_once(stream);
    pass_on(stream);
  }
  tail_.append_line(line);
}

void Output::catch_up() {
  for (Stream& stream : streams_) {
    for (int i = 0; i < rest_reads && stream.waiting.size() < rest_limit && read_once(stream); ++i) continue;
    pass_on(stream);
  }
}

bool Output::ended() const {
  return std::all_of(streams_.begin(), streams_.end(),
                     [](const Stream& stream) { return !stream.reader && stream.waiting.empty(); });
}

void Output::tell_end() {
  if (!ended_ || !ended()) return;
  const auto ended = std::exchange(ended_, nullptr);
  ended();
}

}  // namespace liveswap::master
