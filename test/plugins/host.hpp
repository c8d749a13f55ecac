#pragma once

#include <string>
#include <vector>

// What a plugin answered.
struct Answer {
  int calls = 0;  // of `done`
  bool refused = false;
  std::string error;
  bool kept = false;  // no path: the one asked for
  std::string path;
};

// Loads a plugin as a worker host does, calls it, and unloads it.
Answer ask(const std::string& plugin, const std::string& value);

// The lines that plugins have logged since the last call.
std::vector<std::string> logged();

// A variable of the environment for as long as the object lives.
class Variable {
 public:
  Variable(const char* name, const std::string& value);
  ~Variable();
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
};
