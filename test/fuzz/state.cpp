// Fuzzes the state of a master that is re-executed: the document in it, with a header that fits, and the
// bytes of the whole file. What is read can be written, and is read again as the same.
#include <string>
#include <vector>

#include "master/state/envelope.hpp"
#include "release/sha256.hpp"
#include "target.hpp"

namespace {

using namespace liveswap;
namespace state = master::state;

std::string with_header(std::string_view document) {
  std::string bytes("lswstate");
  const std::uint32_t versions[] = {state::major_version, state::minor_version};
  const std::uint64_t size = document.size();
  bytes.append(reinterpret_cast<const char*>(versions), sizeof versions);
  bytes.append(reinterpret_cast<const char*>(&size), sizeof size);
  bytes += release::sha256_of(document);
  return bytes.append(document);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = fuzz::text_of(data, size);
  state::parse(text);
  auto one = state::parse(with_header(text));
  if (!one) return fuzz::require(!one.error().text.empty(), "a refusal says why"), 0;
  const auto document = state::document_of(*one);
  auto again = state::parse(with_header(document));
  fuzz::require(again.has_value(), "what is read can be written");
  fuzz::require(state::document_of(*again) == document, "what is written is read");
  return 0;
}
