#include "release/family.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/unique_fd.hpp"
#include "launch/kind.h"
#include "launch/program_check.h"
#include "release/private_libraries.hpp"
#include "release/sha256.hpp"
#include "release/tree/source_tree.hpp"
#include "release/tree/tree_store.hpp"

namespace liveswap::release {
namespace {

Result<Content> read_only(const Source& source, const std::string&) {
  auto hash = sha256_of_file(source.fd(), source.shown());
  if (!hash) return tl::unexpected<Error>(hash.error());
  auto needs = read_needs(source.fd());
  if (auto same = source.unchanged(); !same) return tl::unexpected<Error>(same.error());
  return Content{std::move(*hash), std::move(needs)};
}

// The copy would not have the rights that the kernel gives a set-uid program.
Result<void> check_rights(const Source& source) {
  char why[1024];
  if (launch_kind_of(source.fd(), source.shown().c_str()) != LAUNCH_PROGRAM ||
      launch_check_rights(source.fd(), source.shown().c_str(), why, sizeof why))
    return {};
  return fail(why);
}

}  // namespace

Result<void> check_path(const std::string& path) {
  const std::string name = base_name(path);
  if (!path.empty() && path.front() == '/' && !name.empty() && name != "." && name != ".." &&
      path.find('\n') == std::string::npos)
    return {};
  return fail("cannot take \"" + path +
              "\": expected the absolute path of a file or directory by its name, without a line break");
}

Result<std::vector<Member>> visit_family(const std::string& path, const Trust& trust, const Visit& visit) {
  if (auto checked = check_path(path); !checked) return tl::unexpected<Error>(checked.error());
  const std::string name = base_name(path);
  const std::string above = std::filesystem::path(path).parent_path().string();
  const auto directory = UniqueFd::adopt(::open(above.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return os_fail("open", path, errno);

  PrivateLibraries privates(directory.get(), above);
  std::vector<Member> members;
  std::vector<PrivateLibraries::Found> to_visit = {{name, ""}};
  for (std::size_t i = 0; i < to_visit.size(); ++i) {
    const auto [member, elsewhere] = to_visit[i];
    const std::string beside = (above == "/" ? "" : above) + "/" + member;
    const auto source = elsewhere.empty() ? Source::open(directory.get(), member, beside, trust)
                                          : Source::open(directory.get(), elsewhere, elsewhere, trust);
    if (!source) return tl::unexpected<Error>(source.error());
    if (i == 0)
      if (auto fit = check_rights(*source); !fit) return tl::unexpected<Error>(fit.error());
    const auto content = visit(*source, member);
    if (!content) return tl::unexpected<Error>(content.error());
    members.push_back({member, content->hash});
    if (!content->needs) continue;
    const auto more = privates.of(member, *content->needs);
    if (!more) return tl::unexpected<Error>(more.error());
    to_visit.insert(to_visit.end(), more->begin(), more->end());
  }
  std::sort(members.begin() + 1, members.end(),
            [](const Member& a, const Member& b) { return a.name < b.name; });
  return members;
}

std::string id_of(const std::vector<Member>& members) {
  if (members.size() == 1) return members.front().hash;
  std::string manifest;
  for (const auto& member : members) manifest += member.hash + "  " + member.name + "\n";
  return sha256_of(manifest);
}

Result<std::vector<Member>> members_of(const std::string& path) { return visit_family(path, {}, read_only); }

Result<std::string> identify(const std::string& path) {
  if (auto tree = SourceTree::open(path, {})) return identify_tree(std::move(*tree));
  const auto members = members_of(path);
  if (!members) return tl::unexpected<Error>(members.error());
  return id_of(*members);
}

std::string base_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace liveswap::release
