#include "files.h"

#include "program.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace programs {

namespace {

struct Close {
  void operator()(std::FILE* file) const {
    std::fclose(file);
  }
};
using File = std::unique_ptr<std::FILE, Close>;

[[noreturn]] void refuse(const std::string& path, const char* what, int error) {
  throw BadInput(
      (path.empty() ? "''" : path) + ": " + what + ": " + std::strerror(error));
}

/// A temporary file name. The destructor removes the file.
class Temporary {
 public:
  explicit Temporary(const std::string& path)
      : path_(path + ".tmp" + std::to_string(getpid())) {}
  ~Temporary() {
    std::remove(path_.c_str());
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;

  /// 0, or the errno of the call that failed.
  int write(const void* data, std::size_t size) const {
    File file(std::fopen(path_.c_str(), "wb"));
    if (!file) {
      return errno;
    }
    if (std::fwrite(data, 1, size, file.get()) != size) {
      return errno;
    }
    // A full disk may show only when the file is closed.
    return std::fclose(file.release()) == 0 ? 0 : errno;
  }

  int rename_to(const std::string& path) const {
    return std::rename(path_.c_str(), path.c_str()) == 0 ? 0 : errno;
  }

 private:
  std::string path_;
};

/// 0 if the folder exists in the end, otherwise the errno of the failure. It
/// does not use std::filesystem: the LibTorch binaries export a std::filesystem
/// of another compiler. The program then calls that one and may crash.
int make_directories(const std::string& path) {
  for (auto end = path.find('/', 1); end != std::string::npos;
       end = path.find('/', end + 1)) {
    mkdir(path.substr(0, end).c_str(), 0777);
  }
  if (mkdir(path.c_str(), 0777) == 0) {
    return 0;
  }
  if (errno != EEXIST) {
    return errno;
  }
  struct stat status;
  return stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode) ? 0
                                                                     : ENOTDIR;
}

} // namespace

std::vector<unsigned char> read_file(
    const std::string& path,
    std::size_t limit) {
  const File file(std::fopen(path.c_str(), "rb"));
  if (!file) {
    refuse(path, "cannot be opened", errno);
  }
  struct stat status;
  if (fstat(fileno(file.get()), &status) != 0) {
    refuse(path, "cannot be read", errno);
  }
  if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) {
    throw BadInput(path + ": expected a file, but got a device");
  }
  std::vector<unsigned char> bytes;
  unsigned char block[1 << 16];
  while (const auto count = std::fread(block, 1, sizeof(block), file.get())) {
    bytes.insert(bytes.end(), block, block + count);
    const auto size = static_cast<std::size_t>(status.st_size); // 0 of a pipe
    if (std::max(size, bytes.size()) > limit) {
      throw BadInput(
          path + ": expected at most " + std::to_string(limit) +
          " bytes, but got more");
    }
  }
  if (std::ferror(file.get())) {
    refuse(path, "cannot be read", errno);
  }
  return bytes;
}

void write_file(const std::string& path, const void* data, std::size_t size) {
  struct stat status;
  if (stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
    throw BadInput(path + ": cannot be written: it is not a regular file");
  }
  const Temporary temporary(path);
  int error = temporary.write(data, size);
  if (error == 0) {
    error = temporary.rename_to(path);
  }
  if (error != 0) {
    refuse(path, "cannot be written", error);
  }
}

void prepare_output_directory(const std::string& path) {
  int failure = make_directories(path);
  if (failure != 0) {
    refuse(path, "cannot be made a folder", failure);
  }
  failure = Temporary(path + "/writable").write("", 0);
  if (failure != 0) {
    refuse(path, "cannot be written to", failure);
  }
}

} // namespace programs
