#include "release/private_libraries.hpp"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <string_view>

#include "base/system_libraries.hpp"
#include "base/unique_fd.hpp"

namespace liveswap::release {
namespace {

namespace fs = std::filesystem;

// A larger release is a mistake, or an attempt to fill the disk.
constexpr std::size_t family_max = 256;

// The rest of `text` after a leading $ORIGIN: empty or starting with a slash. Not for $ORIGINAL.
std::optional<std::string> behind_origin(std::string_view text) {
  for (const std::string_view token : {"$ORIGIN", "${ORIGIN}"}) {
    if (!text.starts_with(token)) continue;
    text.remove_prefix(token.size());
    if (text.empty() || text.front() == '/') return std::string(text);
  }
  return std::nullopt;
}

// Joins the relative paths `origin` and `behind`; normalises "." and, if possible, "..".
std::string joined(const std::string& origin, const std::string& behind) {
  auto path = fs::path("./" + origin + "/" + behind).lexically_normal().string();
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path == "." ? "" : path;
}

// Releases are world-readable, and the library decides what is copied into its release: it must not make a
// root master publish /etc/shadow. So libraries from other directories must be shared objects and, for root,
// already world-readable.
bool may_be_copied(const std::string& path) {
  const auto fd = UniqueFd::adopt(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  struct stat info {};
  char magic[SELFMAG];
  return fd && ::fstat(fd.get(), &info) == 0 && S_ISREG(info.st_mode) &&
         (::geteuid() != 0 || (info.st_mode & S_IROTH)) && ::pread(fd.get(), magic, SELFMAG, 0) == SELFMAG &&
         std::memcmp(magic, ELFMAG, SELFMAG) == 0;
}

bool leads_out(const std::string& path) { return path == ".." || path.starts_with("../"); }

std::string directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

std::string inside(const std::string& directory, const std::string& name) {
  return directory.empty() ? name : directory + "/" + name;
}

}  // namespace

// $ORIGIN of a library in another directory is absolute, and so are all places derived from it.
PrivateLibraries::Places PrivateLibraries::places(const std::string& list, const std::string& origin,
                                                  bool elsewhere) {
  Places found;
  for (std::size_t begin = 0; begin <= list.size();) {
    const auto end = std::min(list.find(':', begin), list.size());
    const std::string text = list.substr(begin, end - begin);
    begin = end + 1;
    if (const auto behind = behind_origin(text); behind && elsewhere) {
      found.push_back({text, fs::path(origin + "/" + *behind).lexically_normal().string(), false, false});
    } else if (behind) {
      const auto path = joined(origin, *behind);
      found.push_back({text, path, true, leads_out(path)});
    } else if (!text.empty() && text.front() == '/') {
      found.push_back({text, text, false, false});
    }
  }
  return found;
}

bool PrivateLibraries::exists(const std::string& path) const {
  struct stat info {};
  return ::fstatat(directory_, path.c_str(), &info, 0) == 0 && !S_ISDIR(info.st_mode);
}

Result<std::optional<PrivateLibraries::Found>> PrivateLibraries::look(const std::string& library,
                                                                      const std::string& name,
                                                                      const Place& place) const {
  const std::string path = inside(place.path, name);
  if (!exists(path)) return std::nullopt;
  if (place.outside)
    return fail(
        fmt::format("{} needs {}, which it finds through {} at {}: outside its own directory {}, so a "
                    "snapshot cannot keep the two "
                    "together. Put {} into {} or below and link with -Wl,-rpath,'$ORIGIN', or name its "
                    "directory by an absolute "
                    "path: it is copied then",
                    inside(shown_, library), name, place.text,
                    fs::path(inside(shown_, path)).lexically_normal().string(), shown_, name, shown_));
  if (path.find_first_of("\n\\") != std::string::npos)
    return fail(fmt::format("{} needs a library with a line break or backslash in its name: rename it",
                            inside(shown_, library)));
  if (place.by_origin) return Found{path, ""};
  return Found{std::string(needed_directory) + "/" + name, path};
}

Result<std::optional<PrivateLibraries::Found>> PrivateLibraries::find(const std::string& library,
                                                                      const std::string& name,
                                                                      const Places& where) const {
  if (name.find('/') != std::string::npos) {
    // The dynamic linker does not search for a name with a slash.
    const auto behind = behind_origin(name);
    if (!behind || sources_.contains(library)) return std::nullopt;
    const auto path = joined(directory_of(library), *behind);
    const std::string last = path.substr(directory_of(path).empty() ? 0 : directory_of(path).size() + 1);
    return look(library, last, {name, directory_of(path), true, leads_out(path)});
  }
  // In a release from the store, the dynamic linker looks in `.needed` first.
  const std::string taken = std::string(needed_directory) + "/" + name;
  if (exists(taken)) return Found{taken, ""};
  for (const auto& place : where) {
    const std::string path = inside(place.path, name);
    if (!place.by_origin && exists(path) && (is_system_library(path) || !may_be_copied(path)))
      return std::nullopt;
    auto found = look(library, name, place);
    if (!found || *found) return found;
  }
  return std::nullopt;
}

// The value of $ORIGIN for a library.
std::string PrivateLibraries::origin_of(const std::string& library) const {
  const auto source = sources_.find(library);
  return directory_of(source == sources_.end() ? library : source->second);
}

Result<std::vector<PrivateLibraries::Found>> PrivateLibraries::of(const std::string& library,
                                                                  const Needs& needs) {
  const bool elsewhere = sources_.contains(library);
  const std::string origin = origin_of(library);
  known_.insert(library.substr(library.rfind('/') + 1));
  if (!needs.soname.empty()) known_.insert(needs.soname);
  Places inherited = inherited_[library];
  Places rpath = needs.runpath.empty() ? places(needs.rpath, origin, elsewhere) : Places{};
  rpath.insert(rpath.end(), inherited.begin(), inherited.end());
  const Places where = needs.runpath.empty() ? rpath : places(needs.runpath, origin, elsewhere);

  std::vector<Found> found;
  for (const auto& name : needs.needed) {
    if (name.empty() || !known_.insert(name).second) continue;
    auto one = find(library, name, where);
    if (!one) return tl::unexpected<Error>(one.error());
    if (!*one || inherited_.contains((*one)->name)) continue;
    if (inherited_.size() > family_max)
      return fail(
          fmt::format("{} needs more than {} private libraries", inside(shown_, library), family_max));
    inherited_[(*one)->name] = rpath;
    if (!(*one)->source.empty()) sources_[(*one)->name] = (*one)->source;
    found.push_back(**one);
  }
  return found;
}

}  // namespace liveswap::release
