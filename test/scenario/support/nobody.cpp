#include "support/nobody.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>

namespace scenario {
namespace {

namespace fs = std::filesystem;

constexpr uid_t nobody = 65534;

void give_away(const std::string& directory) {
  for (const auto& entry : fs::recursive_directory_iterator(directory))
    REQUIRE(::lchown(entry.path().c_str(), nobody, nobody) == 0);
  REQUIRE(::lchown(directory.c_str(), nobody, nobody) == 0);
}

}  // namespace

bool become_nobody(Site& site) {
  if (::geteuid() != 0) return true;
  fs::permissions(site.temp_dir().path(), fs::perms(0711));
  give_away(site.directory());
  const auto number = std::to_string(nobody);
  site.prefix = {"setpriv", "--reuid", number, "--regid", number, "--clear-groups"};
  // Tries it with a separate program: setpriv itself may still execute files that the user nobody cannot
  // reach.
  const auto tried = run(site.temp_dir(), {site.prefix + Words{"test", "-x", liveswap_program()}});
  if (tried.status != 0) MESSAGE("nobody may not run ", liveswap_program(), ": left out");
  return tried.status == 0;
}

}  // namespace scenario
