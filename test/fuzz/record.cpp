// Fuzzes HEAD and the record, as a start reads them.
#include "release/committed.hpp"
#include "release/head.hpp"
#include "release/sha256.hpp"
#include "target.hpp"

using namespace liveswap;

namespace {

bool is_path(const std::string& text) {
  return text.starts_with('/') && text.find_first_of(std::string("\n\0", 2)) == std::string::npos;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(fuzz::text_of(data, size));
  if (const auto head = release::parse_head(text, "/state/HEAD"))
    fuzz::require(is_path(*head) && (text == *head || text == *head + "\n"),
                  "HEAD names the path that stands there");
  const auto record = release::parse_record(text, "/state/committed");
  if (!record) return 0;
  std::string written;
  for (const auto& one : *record) {
    fuzz::require(release::is_id(one.id) && is_path(one.path), "a record has ids and paths");
    written += one.id + "  " + one.path + "\n";
  }
  fuzz::require(written == text, "nothing of a record is passed over");
  return 0;
}
