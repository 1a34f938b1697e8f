#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace programs {

/// The bytes of a file. Throws BadInput where it cannot be read.
std::vector<unsigned char> read_file(const std::string& path);

/// Writes the whole file or nothing: it writes a temporary file in the same
/// folder and renames it. Throws BadInput if that fails.
void write_file(const std::string& path, const void* data, std::size_t size);

/// Creates the folder if there is none, and tests that a file can be written
/// there. Throws BadInput otherwise. An error now is better than one after a
/// long run.
void prepare_output_directory(const std::string& path);

} // namespace programs
