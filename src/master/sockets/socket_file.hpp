#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>

#include "spawn/spawner.hpp"

namespace liveswap::master {

// The file by which clients find a Unix listener. A cleaner of temporary files may remove the file, or an
// old worker in a SIGTERM handler.
//
// A socket cannot be bound twice, but a hard link leads to the same socket. So a second link
// `.NAME.liveswap` lies beside NAME, and a missing NAME is linked from there; processes with the socket are
// not affected. Without that link (no hard links, or removed too), only a new socket can be bound to the
// path.
class SocketFile {
 public:
  SocketFile() = default;
  // A file that was just bound. Until move() everything is done as that user.
  SocketFile(std::string path, std::optional<spawn::Identity> as);

  const std::string& path() const { return path_; }
  const struct stat& known() const {
    return file_;  // as last seen: owner and mode may have changed since
  }
  bool is(const struct stat& file) const;
  bool is_in_place() const;

  enum class State {
    in_place,
    mended,   // was missing and has been linked again
    missing,  // with nothing to link from
    foreign,  // another file is there and left alone
    barred,   // nothing can be made there: error()
  };
  // Checks and repairs; `in_place` also recreates the second link.
  State mend();
  int error() const { return error_; }

  // The next three are requested by an application: done as the user `as`, and refused if that user may
  // not. Adds a name. 0 or an errno.
  int link_as(const std::string& path, const std::optional<spawn::Identity>& as) const;
  // Like rename(2) from the name `from` to `to`; `keep_old` keeps `from`. 0 or an errno. From then on all
  // work at the new path is done as this user.
  int move(const std::string& to, const std::string& from, bool keep_old,
           const std::optional<spawn::Identity>& as);
  void set_mode(mode_t mode, const std::optional<spawn::Identity>& as) const;
  mode_t mode() const;  // current
  // The path of the second link.
  std::string spare() const;
  // Removes the file, unless replaced, and the links made here.
  void remove();
  // Moves the file to a name that clients do not know. The second link, by which leaving workers recreate
  // the file, moves too. show() brings both back.
  void hide();
  void show();

  // All members as values (state/archive.hpp).
  template <class Archive>
  void describe(Archive& a) {
    a("path", path_)("former", former_)("as", as_)("device", file_.st_dev)("inode", file_.st_ino);
    a("mode", file_.st_mode)("user", file_.st_uid)("group", file_.st_gid);
  }

 private:
  bool is_at(const std::string& path) const;
  void make_spare() const;
  std::string hidden() const { return spare() + "-held"; }
  int rename_as(const std::string& to, const std::string& from, bool keep_old,
                const std::optional<spawn::Identity>& as) const;
  static int link_over(const std::string& from, const std::string& to);

  std::string path_;
  std::string former_;  // the former name; may still exist as a link
  std::optional<spawn::Identity> as_;
  struct stat file_ {};
  int error_ = 0;
};

}  // namespace liveswap::master
