#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace scenario {

using Words = std::vector<std::string>;

// The content; "" if the file cannot be read.
std::string read_file(const std::string& path);

// Replaces the content. Fails the test on an error.
void write_file(const std::string& path, std::string_view content);

bool contains(std::string_view text, std::string_view part);

Words lines_of(const std::string& text);

Words operator+(Words first, const Words& second);

}  // namespace scenario
