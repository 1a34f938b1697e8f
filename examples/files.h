#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace programs {

/// The bytes of a file or a pipe. Throws BadInput if it cannot be read, is a
/// device, or holds more than `limit` bytes.
std::vector<unsigned char> read_file(
    const std::string& path,
    std::size_t limit);

/// Writes the whole file or nothing: it writes a temporary file in the same
/// folder and renames it. Throws BadInput if that fails, or if the path exists
/// and is not a regular file, such as /dev/null.
void write_file(const std::string& path, const void* data, std::size_t size);

/// Creates the folder if there is none, and tests that a file can be written
/// there. Throws BadInput otherwise. An error now is better than one after a
/// long run.
void prepare_output_directory(const std::string& path);

} // namespace programs
