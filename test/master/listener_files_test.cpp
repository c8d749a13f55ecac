#include "master/app_listeners/listener_files.hpp"

#include <filesystem>

#include "test/support/temp_dir.hpp"
#include "test_loop.hpp"

using namespace liveswap;
using namespace liveswap::master;
using liveswap::test::TempDir, liveswap::test::TestLoop;

TEST_CASE("listener files: one that is removed is made again, and a look tells of it") {
  const TempDir dir;
  const std::string path = dir / "app.sock";
  TestLoop loop;
  auto listeners = std::move(*Listeners::open({{"http", "unix:" + path}}, ListenMode::shared, 64, 1));
  AppListeners app_listeners(listeners, {}, [](auto, auto, auto, const Extras&) { return true; });
  std::vector<rollout::FileNews> told;
  std::optional<ListenerFiles> files;
  files.emplace(loop, listeners, app_listeners, [&](const auto& news) { told.push_back(news); });
  files->watch();
  std::filesystem::remove(path);
  REQUIRE(loop.until([&] { return !told.empty(); }));
  CHECK(std::filesystem::is_socket(path));
  REQUIRE(told[0].mended.size() == 1);
  CHECK(told[0].mended[0].find("listener http") == 0);
  CHECK(told[0].lost.empty());
  told.clear();
  files->mend();
  CHECK(told.empty());

  std::filesystem::remove(path);
  std::filesystem::create_directory(path);
  REQUIRE(loop.until([&] { return !told.empty() && !told.back().lost.empty(); }));
  CHECK(told.back().lost[0].find("listener http") == 0);
  told.clear();
  files->mend();
  CHECK(told.empty());

  std::filesystem::remove(path);
  REQUIRE(loop.until([&] { return !told.empty() && told.back().lost.empty(); }));
}
