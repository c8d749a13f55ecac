// Fuzzes an untrusted library, as the store and `liveswap check` read it.
#include "check/elf_file.hpp"
#include "release/needs.hpp"
#include "target.hpp"

using namespace liveswap;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes bytes(fuzz::text_of(data, size));
  if (const auto needs = release::read_needs(bytes))
    for (const auto& name : needs->needed)
      fuzz::require(name.find('\0') == std::string::npos, "names have no NUL");
  for (const char* entry : {"liveswap_main", "main"})
    if (const auto file = checks::ElfFile::parse(bytes, "/lib.so", entry))
      for (const auto& name : file->imports) fuzz::require(!name.empty(), "what is wanted has a name");
  return 0;
}
