#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace programs {

/// The bytes of a file. Throws BadInput where it cannot be read.
std::vector<unsigned char> read_file(const std::string& path);

/// Writes a file as a whole or not at all: under a temporary name in the same
/// folder, renamed when complete. Throws BadInput where that fails.
void write_file(const std::string& path, const void* data, std::size_t size);

/// Creates the folder where there is none, and tries that a file can be written
/// there. Throws BadInput otherwise: better now than after a long run.
void prepare_output_directory(const std::string& path);

} // namespace programs
