#include "support/built.hpp"

namespace scenario {
namespace {

const std::string root = BUILD_ROOT;

std::string library(const std::string& folder, const std::string& name) {
  return root + "/" + folder + "/lib" + name + ".so";
}

}  // namespace

std::string liveswap_program() { return root + "/" LIVESWAP_PROGRAM; }
std::string load_program() { return root + "/" LOAD_PROGRAM; }
std::string fixture(const std::string& name) { return library("test/fixtures", name); }
std::string sample(const std::string& name) { return library("samples", name); }
std::string server_sample(const std::string& name) { return library("samples/servers", "server_" + name); }
std::string shipped_plugin(const std::string& name) { return library("plugins", "liveswap-" + name); }
std::string fixture_file(const std::string& name) { return BUILD_ROOT "/test/fixtures/" + name; }
std::string own_fixture(const std::string& name) { return library("test/scenario", name); }

}  // namespace scenario
