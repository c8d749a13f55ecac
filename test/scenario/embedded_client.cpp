// Prints what liveswap::Client reports: embedded_client PORT upgrade PATH|status|message TEXT|kill|die
#include <cstdio>
#include <cstdlib>
#include <liveswap.hpp>
#include <string>

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  liveswap::Client::Where where;
  where.port = static_cast<std::uint16_t>(std::atoi(argv[1]));
  liveswap::Client client(where);
  const std::string verb = argv[2], value = argc > 3 ? argv[3] : "";
  liveswap::Outcome outcome{liveswap::usage, "what?"};
  if (verb == "upgrade")
    outcome = client.upgrade(value, [](const std::string& json) { std::printf("%s\n", json.c_str()); });
  if (verb == "status") outcome = client.status();
  if (verb == "message") outcome = client.message(value);
  if (verb == "kill") outcome = client.kill();
  if (verb == "die") outcome = client.die();
  std::printf("%s\n", outcome.text.c_str());
  return outcome.status;
}
