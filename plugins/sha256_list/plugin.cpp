// sha256-list: a pre-upgrade plugin that permits only listed files.
//
//   LIVESWAP_SHA256_LIST   path of the list; from the environment of the master
//
// The list has the format of sha256sum: 64 hex digits, white space, a name. Names are for people only. Blank
// lines and lines starting with "#" are ignored. Any other line is an error, so a damaged list permits
// nothing. The list is read at each upgrade; at most 1 MiB.
//
//   sha256sum libapp_v2.so >> /etc/liveswap/allowed.sha256
//
// An upgrade without a path is refused, as the plugin cannot tell the file. Blocks the host's thread while
// reading the two files; never opens FIFOs or devices.
#include <fcntl.h>
#include <sha256.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "liveswap_plugin.h"

namespace {

constexpr std::size_t list_limit = std::size_t{1024} * 1024;
constexpr std::size_t hex_length = std::size_t{2} * SHA256_DIGEST_LENGTH;
constexpr std::string_view blank = " \t\r";

// The reason for a refusal, thrown to the entry function.
struct Refusal {
  std::string text;
};

[[noreturn]] void refuse(std::string text) { throw Refusal{std::move(text)}; }

[[noreturn]] void refuse_for(const char* operation, const std::string& path, int number) {
  const char* text = ::strerrordesc_np(number);
  refuse(std::string("cannot ") + operation + " " + path + ": " + (text ? text : "unknown error"));
}

class File {
 public:
  // O_NONBLOCK: opening a FIFO must not wait for a writer.
  explicit File(std::string path)
      : path_(std::move(path)), fd_(::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)) {
    if (fd_ < 0) refuse_for("open", path_, errno);
    struct stat info {};
    const bool regular = ::fstat(fd_, &info) == 0 && S_ISREG(info.st_mode);
    if (regular) return;
    ::close(fd_);
    refuse(path_ +
           (S_ISDIR(info.st_mode)    ? " is a directory"
            : S_ISFIFO(info.st_mode) ? " is a FIFO"
                                     : " is special") +
           ", expected a regular file");
  }
  ~File() { ::close(fd_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  // Calls `each` for each piece of the file.
  void read(const std::function<void(std::string_view)>& each) const {
    char bytes[64 * 1024];
    for (;;) {
      const ssize_t n = ::read(fd_, bytes, sizeof bytes);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) refuse_for("read", path_, errno);
      if (n == 0) return;
      each({bytes, static_cast<std::size_t>(n)});
    }
  }

 private:
  std::string path_;
  int fd_;
};

std::string sha256_of(const std::string& path) {
  SHA256_CTX state;
  ::SHA256_Init(&state);
  File(path).read([&](std::string_view bytes) {
    ::SHA256_Update(&state, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  });
  std::uint8_t digest[SHA256_DIGEST_LENGTH];
  ::SHA256_Final(digest, &state);
  std::string hex;
  for (const auto byte : digest) {
    hex += "0123456789abcdef"[byte >> 4];
    hex += "0123456789abcdef"[byte & 15];
  }
  return hex;
}

std::string content_of(const std::string& path) {
  std::string content;
  File(path).read([&](std::string_view bytes) {
    if (content.size() + bytes.size() > list_limit)
      refuse(path + " has more than " + std::to_string(list_limit) + " bytes, expected a shorter list");
    content += bytes;
  });
  return content;
}

// The digits in lower case; empty if the line is invalid.
std::string hash_in(std::string_view line) {
  const auto digits = line.find_first_not_of("0123456789abcdefABCDEF");
  if (digits != hex_length || blank.find(line[digits]) == std::string_view::npos ||
      line.find_first_not_of(blank, digits) == std::string_view::npos)
    return {};
  std::string hex(line.substr(0, hex_length));
  for (char& c : hex) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return hex;
}

// Checks the whole list, so that a damaged line is reported early.
bool is_listed(const std::string& hash, const std::string& list) {
  const std::string content = content_of(list);
  std::string_view rest = content;
  bool found = false;
  for (int number = 1; !rest.empty(); ++number) {
    const auto end = rest.find('\n');
    const auto line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    const auto first = line.find_first_not_of(blank);
    if (first == std::string_view::npos || line[first] == '#') continue;
    const auto listed = hash_in(line);
    if (listed.empty())
      refuse(list + ":" + std::to_string(number) +
             ": expected 64 hex digits, two spaces and a name, as sha256sum prints");
    found |= listed == hash;
  }
  return found;
}

void check(const std::string& path) {
  const char* list = std::getenv("LIVESWAP_SHA256_LIST");
  if (!list || !*list)
    refuse("LIVESWAP_SHA256_LIST is not set: start the master with the path of the list in it");
  if (path.empty()) refuse("no path was given, expected one to compare with " + std::string(list));
  const auto hash = sha256_of(path);
  if (!is_listed(hash, list))
    refuse(path + " has the SHA-256 " + hash + ", which is not in " + list +
           ": if it may run, add the line that sha256sum " + path + " prints");
}

}  // namespace

extern "C" void liveswap_preupgrade(const char* value, liveswap_done done, void* ctx) {
  try {
    check(value);
  } catch (const Refusal& refusal) {
    return done(ctx, refusal.text.c_str(), nullptr);
  } catch (const std::exception& failure) {
    return done(ctx, failure.what(), nullptr);
  }
  done(ctx, nullptr, nullptr);
}
