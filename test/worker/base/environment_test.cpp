#include <doctest/doctest.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

extern "C" {
#include "worker/base/environment.h"
}

namespace {

// A list as the kernel makes it: texts in one piece of memory, with room for the auxiliary vector behind.
class List {
 public:
  explicit List(const std::vector<std::string>& variables) {
    for (const auto& one : variables) memory_ += one + '\0';
    char* at = memory_.data();
    for (const auto& one : variables) {
      pointers_.push_back(at);
      at += one.size() + 1;
    }
    pointers_.push_back(nullptr);
    pointers_.push_back(reinterpret_cast<char*>(33));
  }
  char** get() { return pointers_.data(); }
  std::vector<std::string> seen() const {
    std::vector<std::string> found;
    for (char* const* one = pointers_.data(); *one; ++one) found.emplace_back(*one);
    return found;
  }
  const std::string& memory() const { return memory_; }
  // How many NULLs stand before the auxiliary vector.
  std::size_t ends() const {
    std::size_t count = 0;
    for (std::size_t i = pointers_.size() - 1; i-- > 0 && !pointers_[i];) ++count;
    return count;
  }

 private:
  std::string memory_;
  std::vector<char*> pointers_;
};

using Words = std::vector<std::string>;

}  // namespace

TEST_CASE("environment: the last value of a name") {
  List list({"A=1", "AB=2", "A=3", "B="});
  CHECK(std::string(environment_value(list.get(), "A")) == "3");
  CHECK(std::string(environment_value(list.get(), "B")).empty());
  CHECK(environment_value(list.get(), "C") == nullptr);
  CHECK(environment_value(nullptr, "A") == nullptr);
}

TEST_CASE("environment: what is removed leaves no bytes, and the list ends before the auxiliary vector") {
  List list({"A=1", "SECRET=words", "B=2", "SECRET=more"});
  environment_remove(list.get(), "SECRET");
  CHECK(list.seen() == Words{"A=1", "B=2"});
  CHECK(list.memory().find("SECRET") == std::string::npos);
  CHECK(list.memory().find("words") == std::string::npos);
  CHECK(list.ends() == 3);
}

TEST_CASE("environment: the directory for the loader is hidden") {
  const std::string release = "/state/releases/1f/app";
  const std::string needed = "/state/releases/1f/.needed";
  List alone({"LD_LIBRARY_PATH=" + needed, "A=1"});
  environment_hide_needed(alone.get(), release.c_str());
  CHECK(alone.seen() == Words{"A=1"});
  List behind({"LD_LIBRARY_PATH=/lib:" + needed});
  environment_hide_needed(behind.get(), release.c_str());
  CHECK(behind.seen() == Words{"LD_LIBRARY_PATH=/lib"});
  CHECK(behind.memory().find("needed") == std::string::npos);
  List other({"LD_LIBRARY_PATH=/lib:/x" + needed});
  environment_hide_needed(other.get(), release.c_str());
  CHECK(other.seen() == Words{"LD_LIBRARY_PATH=/lib:/x" + needed});
}

TEST_CASE("environment: a new list") {
  List list({"A=1", "B=2", "A=3"});
  const char* const without[] = {"A", nullptr};
  const char* const more[] = {"C=4", "A=5"};
  char** const joined = environment_join(list.get(), without, more, 2);
  REQUIRE(joined != nullptr);
  CHECK(std::string(joined[0]) == "B=2");
  CHECK(std::string(joined[1]) == "C=4");
  CHECK(std::string(joined[2]) == "A=5");
  CHECK(joined[3] == nullptr);
  std::free(joined);
}
