#pragma once

#include <string>
#include <vector>

// The answer of a plugin.
struct Answer {
  int calls = 0;  // calls of `done`
  bool refused = false;
  std::string error;
  bool kept = false;  // without a path: the requested path stays
  std::string path;
};

// Loads a plugin as the worker host does, calls its function, and unloads the plugin.
Answer ask(const std::string& plugin, const std::string& value);

// The lines that plugins have logged since the last call.
std::vector<std::string> logged();

// Sets an environment variable while the object lives.
class Variable {
 public:
  Variable(const char* name, const std::string& value);
  ~Variable();
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
};
