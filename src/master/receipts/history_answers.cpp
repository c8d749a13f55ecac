#include "master/receipts/history_answers.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include "base/tail.hpp"
#include "config/values.hpp"
#include "protocol/line_buffer.hpp"

namespace liveswap::master {
namespace {

constexpr std::uint64_t history_default = 20;
constexpr std::uint64_t history_limit = 1000;

// The number of liveswap-store processes that may run at once.
constexpr std::size_t readers = 4;

}  // namespace

HistoryAnswers::HistoryAnswers(uv_loop_t& loop, const spawn::Request& store, std::string state_dir,
                               OpenRequests& requests)
    : state_dir_(std::move(state_dir)), requests_(requests), queries_(loop, store, readers, reading_limit) {}

void HistoryAnswers::list(rollout::RequestId request, const std::string& count) {
  const auto wanted =
      count.empty() ? Result<std::uint64_t>(history_default) : config::parse_number(count, 1, history_limit);
  if (!wanted) return requests_.refuse(request, protocol::Refusal::usage, "history: " + wanted.error().text);
  ask(request, {"history", state_dir_, std::to_string(*wanted)});
}

void HistoryAnswers::receipt(rollout::RequestId request, const std::string& number) {
  if (number.empty()) return ask(request, {"receipt", state_dir_, "newest"});
  const auto wanted = config::parse_number(number, 1, UINT32_MAX);
  if (!wanted) return requests_.refuse(request, protocol::Refusal::usage, "receipt: " + wanted.error().text);
  ask(request, {"receipt", state_dir_, std::to_string(*wanted)});
}

void HistoryAnswers::ask(rollout::RequestId request, std::vector<std::string> words) {
  queries_.ask(std::move(words), [this, request](StoreQueries::Reply& reply) {
    if (!guarded([&] { pass_on(request, reply); })) requests_.give_up(request);
  });
}

// The memory file contains a complete answer line. Only its size is checked here.
void HistoryAnswers::pass_on(rollout::RequestId request, StoreQueries::Reply& reply) {
  if (reply.result.kind != Task::Result::Kind::done) return refuse(request, reply.result);
  struct stat info {};
  const bool readable = reply.document && ::fstat(reply.document.get(), &info) == 0 && S_ISREG(info.st_mode);
  const auto size = static_cast<std::size_t>(info.st_size);
  if (!readable || size == 0 || size > protocol::answer_limit)
    return requests_.refuse(request, protocol::Refusal::failed, "liveswap-store gave an answer that is none");
  requests_.answer(request, std::move(reply.document), size, std::move(reply.place));
}

void HistoryAnswers::refuse(rollout::RequestId request, const Task::Result& result) {
  using Kind = Task::Result::Kind;
  switch (result.kind) {
    case Kind::done:
    case Kind::refused:
    case Kind::unstarted: return requests_.refuse(request, protocol::Refusal::failed, result.text);
    case Kind::failed:
      return requests_.refuse(request, protocol::Refusal::failed,
                              "the history cannot be read: " + result.text);
    case Kind::silent:
      return requests_.refuse(
          request, protocol::Refusal::failed,
          with_output("the history cannot be read: liveswap-store ended without an answer: " + result.text,
                      result.output));
    case Kind::late:
      return requests_.refuse(request, protocol::Refusal::timed_out,
                              fmt::format("the history in {}/history could not be read within {} s",
                                          state_dir_, reading_limit.count() / 1000));
  }
}

}  // namespace liveswap::master
