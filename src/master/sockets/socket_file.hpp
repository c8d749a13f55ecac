#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>

#include "spawn/spawner.hpp"

namespace liveswap::master {

// The file of a Unix socket that listens. Clients find the socket by it, so it must not be missing: a cleaner
// of temporary files may remove it, or an old worker whose handler of SIGTERM knows nothing of a successor.
//
// A socket cannot be bound a second time. But a hard link leads to the socket as the first name does, so
// there is a second one beside it, `.NAME.liveswap` for NAME, and a path that is missing is linked from that:
// the same socket, and every process that has it goes on. Where there is no second one (a file system without
// hard links, or it was removed as well), only another socket at the path can help.
class SocketFile {
 public:
  SocketFile() = default;
  // What was bound just now; everything is done as that user, until move().
  SocketFile(std::string path, std::optional<Identity> as);

  const std::string& path() const { return path_; }
  const struct stat& known() const {
    return file_;
  }  // as it was seen last: its owner and mode may have been changed since
  bool is(const struct stat& file) const;
  bool is_in_place() const;

  enum class State {
    in_place,
    mended,   // it was missing, and has been linked again
    missing,  // and there is nothing to link
    foreign,  // something else is there, which is left alone
    barred,   // nothing can be made there: error()
  };
  // Looks, and mends. `in_place` also brings the second link about again.
  State mend();
  int error() const { return error_; }

  // The next three are what an application asks for: done as the user `as`, and refused where that user may
  // not do it. One more name for it. 0, or an errno.
  int link_as(const std::string& path, const std::optional<Identity>& as) const;
  // As rename(2) from `from`, one of its names, to `to`; `from` stays where `keep_old`. 0, or an errno. From
  // then on all that is done at the new path is done as that user, who has chosen it.
  int move(const std::string& to, const std::string& from, bool keep_old, const std::optional<Identity>& as);
  void set_mode(mode_t mode, const std::optional<Identity>& as) const;
  mode_t mode() const;  // as it is now
  // The second link to it.
  std::string spare() const;
  // Removes the file, if it still is that, and the links that were made here.
  void remove();

 private:
  bool is_at(const std::string& path) const;
  void make_spare() const;
  int rename_as(const std::string& to, const std::string& from, bool keep_old,
                const std::optional<Identity>& as) const;
  static int link_over(const std::string& from, const std::string& to);

  std::string path_;
  std::string former_;  // the name before; a link of that name may be there still
  std::optional<Identity> as_;
  struct stat file_ {};
  int error_ = 0;
};

}  // namespace liveswap::master
