#pragma once

#include <string>

#include "test/support/sanitized.hpp"

// The paths of build results.
namespace scenario {

std::string liveswap_program();
std::string load_program();

// "version_v1": test/fixtures/libversion_v1.so
std::string fixture(const std::string& name);

// "bad/libempty.so": a path below test/fixtures.
std::string fixture_file(const std::string& name);

// "hello_v1"
std::string sample(const std::string& name);
// One of samples/servers.
std::string server_sample(const std::string& name);

// "run-command": a pre-upgrade plugin that ships with liveswap.
std::string shipped_plugin(const std::string& name);

// "report", "pre_upgrade_crash": a fixture that only scenarios use.
std::string own_fixture(const std::string& name);

using liveswap::test::sanitized;

}  // namespace scenario
