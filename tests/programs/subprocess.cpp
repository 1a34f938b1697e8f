#include "subprocess.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <thread>

namespace programs_test {

namespace {

/// Starts a program and sends its outputs to the named files.
pid_t start(
    const std::vector<std::string>& arguments,
    const std::string& out,
    const std::string& err) {
  std::vector<char*> argv;
  for (const auto& argument : arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  constexpr int flags = O_WRONLY | O_CREAT | O_NOCTTY;
  posix_spawn_file_actions_addopen(&actions, 1, out.c_str(), flags, 0600);
  posix_spawn_file_actions_addopen(&actions, 2, err.c_str(), flags, 0600);
  pid_t pid = -1;
  const int error =
      posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    throw std::runtime_error("cannot start " + arguments[0]);
  }
  return pid;
}

void append_names(
    const std::string& folder,
    const std::string& prefix,
    std::vector<std::string>& names) {
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(
      opendir(folder.c_str()), closedir);
  while (const auto* entry = entries ? readdir(entries.get()) : nullptr) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") {
      names.push_back(prefix + name);
      append_names(folder + "/" + name, prefix + name + "/", names);
    }
  }
}

int exit_status(int wait_status) {
  return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1;
}

} // namespace

// Not std::filesystem: the LibTorch binaries export a std::filesystem of
// another compiler. The test would call that one and crash in remove_all.
Folder::Folder() {
  const char* parent = getenv("TMPDIR");
  path_ = std::string(parent ? parent : "/tmp") + "/fused_ssim-XXXXXX";
  if (!mkdtemp(path_.data())) {
    throw std::runtime_error("cannot create " + path_);
  }
}

Folder::~Folder() {
  const auto remove_entry =
      [](const char* path, const struct stat*, int, struct FTW*) {
        return std::remove(path);
      };
  nftw(path_.c_str(), remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

std::string Folder::operator/(const std::string& name) const {
  return path_ + "/" + name;
}

std::vector<std::string> Folder::list() const {
  std::vector<std::string> names;
  append_names(path_, "", names);
  std::sort(names.begin(), names.end());
  return names;
}

Process::Process(const std::vector<std::string>& arguments)
    : pid_(start(arguments, folder_ / "out", folder_ / "err")) {}

Process::~Process() {
  if (running_) {
    send(SIGKILL);
    reap(0);
  }
}

bool Process::reap(int options) {
  if (running_ && waitpid(pid_, &wait_status_, options) == pid_) {
    running_ = false;
  }
  return !running_;
}

bool Process::wait_for_output(const std::string& text) {
  const auto seen = [&] {
    return read_text(folder_ / "out").find(text) != std::string::npos;
  };
  while (!seen()) {
    if (reap(WNOHANG)) {
      return seen();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

void Process::send(int signal) {
  if (running_) {
    kill(pid_, signal);
  }
}

Finished Process::wait() {
  reap(0);
  return {
      exit_status(wait_status_),
      read_text(folder_ / "out"),
      read_text(folder_ / "err")};
}

Finished run(const std::vector<std::string>& arguments) {
  return Process(arguments).wait();
}

Finished run_in_shell(
    const std::string& line,
    std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"/bin/sh", "-c", line});
  return run(arguments);
}

Finished run_on_terminal(const std::vector<std::string>& arguments) {
  const int master = posix_openpt(O_RDWR | O_NOCTTY);
  if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0) {
    throw std::runtime_error("cannot open a terminal");
  }
  const Folder folder;
  const pid_t pid = start(arguments, ptsname(master), folder / "err");
  std::string out;
  char block[4096];
  // The read fails when the program has closed its side.
  for (ssize_t count; (count = read(master, block, sizeof(block))) > 0;) {
    out.append(block, static_cast<std::size_t>(count));
  }
  close(master);
  int wait_status = 0;
  waitpid(pid, &wait_status, 0);
  return {exit_status(wait_status), out, read_text(folder / "err")};
}

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_text(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

} // namespace programs_test
