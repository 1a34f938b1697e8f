#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace programs_test {

/// A folder for one test. The destructor removes it.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  /// The path of `name` in the folder.
  std::string operator/(const std::string& name) const;
  /// All files and folders in it, at any depth, in order.
  std::vector<std::string> list() const;

 private:
  std::string path_;
};

struct Finished {
  int status = -1; // exit status; -1: ended by a signal
  std::string out, err;
};

/// A running program, whose output goes to files.
class Process {
 public:
  /// `arguments[0]` is the program's path.
  explicit Process(const std::vector<std::string>& arguments);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  /// Waits until the output contains `text`. Returns false if the program ends
  /// first.
  bool wait_for_output(const std::string& text);
  void send(int signal);
  Finished wait();

 private:
  bool reap(int options);

  Folder folder_;
  pid_t pid_ = -1;
  bool running_ = true;
  int wait_status_ = 0;
};

Finished run(const std::vector<std::string>& arguments);

/// Runs a line of shell code. `arguments` are its $0, $1 and so on.
Finished run_in_shell(
    const std::string& line,
    std::vector<std::string> arguments);

/// Runs the program with a terminal as standard output. `out` holds what the
/// terminal received.
Finished run_on_terminal(const std::vector<std::string>& arguments);

std::string read_text(const std::string& path);
void write_text(const std::string& path, const std::string& text);

} // namespace programs_test
