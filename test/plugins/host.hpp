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

// The paths of the plugins, from the command line of the test.
extern std::string run_command_path, sha256_list_path;

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

// A directory of its own, gone with the object.
class Directory {
 public:
  Directory();
  ~Directory();
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  // Writes a file and returns its path.
  std::string write(const std::string& name, const std::string& content) const;

 private:
  std::string path_;
};
