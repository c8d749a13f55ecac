// Fuzzes the configuration file: YAML, the options in it, and whether the options go together.
#include "config/validate.hpp"
#include "config/yaml.hpp"
#include "target.hpp"

using namespace liveswap;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(fuzz::text_of(data, size));
  const auto options = config::parse_yaml(text, "file.yaml", "/etc", Options{});
  if (!options) {
    fuzz::require(options.error().text.starts_with("file.yaml:"), "an error says where it is");
    return 0;
  }
  for (const uid_t user : {0U, 1000U})
    if (const auto valid = config::validate(*options, user))
      for (const auto& listener : valid->listen)
        fuzz::require(!listener.name.empty(), "every listener has a name");
  return 0;
}
