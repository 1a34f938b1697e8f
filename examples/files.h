#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace programs {

/// The bytes of a file or pipe. Throws BadInput where it cannot be read, is a device,
/// or holds more than `limit` bytes.
std::vector<unsigned char> read_file(
    const std::string& path,
    std::size_t limit);

/// Writes a file as a whole or not at all: under a temporary name in the same
/// folder, renamed when complete. Throws BadInput where that fails, and where the
/// name is taken by anything but a file, such as /dev/null.
void write_file(const std::string& path, const void* data, std::size_t size);

/// Creates the folder where there is none, and tries that a file can be written
/// there. Throws BadInput otherwise: better now than after a long run.
void prepare_output_directory(const std::string& path);

} // namespace programs
