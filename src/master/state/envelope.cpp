#include "master/state/envelope.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "json/parse.hpp"
#include "master/state/archive.hpp"
#include "master/state/check.hpp"
#include "release/sha256.hpp"

namespace liveswap::master::state {
namespace {

constexpr std::size_t size_limit = std::size_t{256} * 1024 * 1024;
constexpr int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

// In the byte order of the machine: the file never leaves it.
struct Header {
  char magic[8] = {'l', 's', 'w', 's', 't', 'a', 't', 'e'};
  std::uint32_t major = major_version;
  std::uint32_t minor = minor_version;
  std::uint64_t size = 0;  // of the document
  char sha256[64] = {};    // of the document, in hexadecimal digits; zeros: none
};

Result<void> write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return os_fail("write", "the state of the master", n < 0 ? errno : ENOSPC);
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

Result<UniqueFd> write_file(const std::string& document, const std::string& sha256) {
  Header header;
  header.size = document.size();
  sha256.copy(header.sha256, sizeof header.sha256);
  auto file = UniqueFd::adopt(::memfd_create("liveswap-state", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file) return os_fail("make a memory file for", "the state of the master", errno);
  const std::string_view head(reinterpret_cast<const char*>(&header), sizeof header);
  for (const std::string_view part : {head, std::string_view(document)})
    if (auto done = write_all(file.get(), part); !done) return tl::unexpected<Error>(done.error());
  if (::fcntl(file.get(), F_ADD_SEALS, seals) != 0) return os_fail("seal", "the state of the master", errno);
  return file;
}

}  // namespace

std::string document_of(MasterState& state) {
  std::string document;
  state.descriptors.clear();
  Writer(document, state.descriptors).put(state);
  return document;
}

Result<Written> write(MasterState& state) {
  const std::string document = document_of(state);
  auto file = write_file(document, release::sha256_of(document));
  if (!file) return tl::unexpected<Error>(file.error());
  return Written{std::move(*file), state.descriptors};
}

Result<UniqueFd> write_document(const std::string& document) { return write_file(document, ""); }

Result<void> take_descriptors(MasterState& state, std::vector<UniqueFd>& received) {
  if (state.descriptors.size() != received.size())
    return fail(fmt::format("{} descriptors have come with the state, expected {}", received.size(),
                            state.descriptors.size()));
  std::map<int, int> numbers;
  for (std::size_t i = 0; i < received.size(); ++i)
    if (!numbers.emplace(state.descriptors[i], received[i].get()).second)
      return fail(fmt::format("the state is wrong: descriptor {} is named twice", state.descriptors[i]));
  std::vector<int> named;
  try {
    Renumberer(numbers).visit(state);
    named = descriptors_of(state);
  } catch (const Wrong& wrong) {
    return fail(std::string("the state is wrong: ") + wrong.what());
  }
  for (UniqueFd& one : received)
    if (std::find(named.begin(), named.end(), one.get()) != named.end()) one.release();
  received.clear();
  return {};
}

void close_descriptors(MasterState& state) {
  for (const int fd : descriptors_of(state)) UniqueFd::adopt(fd).reset();
}

Result<MasterState> parse(std::string_view bytes) {
  Header header;
  const Header expected;
  if (bytes.size() < sizeof header) return fail("the state is cut off within its header");
  std::memcpy(&header, bytes.data(), sizeof header);
  bytes.remove_prefix(sizeof header);
  if (std::memcmp(header.magic, expected.magic, sizeof header.magic) != 0)
    return fail("the file is no state of a master");
  if (header.major != major_version)
    return fail(fmt::format("the state has version {}.{}, expected {}.x: stop and start the master instead",
                            header.major, header.minor, major_version));
  if (header.size != bytes.size())
    return fail(fmt::format("the state has {} bytes, expected {}", bytes.size(), header.size));
  const bool has_sum = header.sha256[0] != '\0';
  if (has_sum && release::sha256_of(bytes) != std::string_view(header.sha256, sizeof header.sha256))
    return fail("the state is damaged: its SHA-256 differs");
  const auto document = json::parse(bytes, {64, 20'000'000});
  if (!document) return fail("the state is " + document.error().text);
  try {
    MasterState state;
    std::set<int> fds;
    Reader(*document, fds).get(*document, state);
    if (auto fits = check(state); !fits) return tl::unexpected<Error>(fits.error());
    if (state.at_rest && !has_sum) return fail("the state for a re-execution has no SHA-256");
    return state;
  } catch (const Wrong& wrong) {
    return fail(std::string("the state is wrong: ") + wrong.what());
  }
}

Result<MasterState> read(int file) {
  struct stat info {};
  if (::fstat(file, &info) != 0) return os_fail("look at", "the state of the master", errno);
  if (!S_ISREG(info.st_mode) || ::fcntl(file, F_GET_SEALS) != seals)
    return fail("the file is no sealed memory file");
  if (static_cast<std::size_t>(info.st_size) > size_limit)
    return fail(fmt::format("the state has {} bytes, expected at most {}", info.st_size, size_limit));
  std::string bytes(static_cast<std::size_t>(info.st_size), '\0');
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = ::pread(file, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return os_fail("read", "the state of the master", n < 0 ? errno : EIO);
    done += static_cast<std::size_t>(n);
  }
  return parse(bytes);
}

Result<void> check_descriptors(MasterState& state) {
  const auto fds = descriptors_of(state);
  struct stat info {};
  for (const int fd : fds)
    if (::fstat(fd, &info) != 0) return os_fail("take over", fmt::format("descriptor {}", fd), errno);
  const auto is_socket = [&](const Fd& fd) {
    return fd.number < 0 || (::fstat(fd.number, &info) == 0 && S_ISSOCK(info.st_mode));
  };
  const auto wrong = [](const Fd& fd, const char* what) {
    return fail(fmt::format("descriptor {} is no {}", fd.number, what));
  };
  for (const auto& endpoint : state.listeners.endpoints)
    for (const auto& set : endpoint.sets)
      for (const auto& one : set)
        if (!is_socket(one.fd)) return wrong(one.fd, "socket");
  for (const auto& endpoint : state.listeners.endpoints)
    for (const auto* more : {&endpoint.spoilt, &endpoint.spare})
      for (const Fd& one : *more)
        if (!is_socket(one)) return wrong(one, "socket");
  for (const auto& worker : state.workers)
    if (!is_socket(worker.channel)) return wrong(worker.channel, "channel");
  for (const auto& client : state.control.clients)
    if (!is_socket(client.socket)) return wrong(client.socket, "socket");
  for (const Fd& one : {state.control.local, state.control.tcp})
    if (!is_socket(one)) return wrong(one, "socket");
  return {};
}

}  // namespace liveswap::master::state
