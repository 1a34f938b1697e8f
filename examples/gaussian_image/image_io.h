#pragma once

#include <torch/types.h>

#include <string>
#include <vector>

/// Reads a PNG file as RGB, transparent parts on black: [3, H, W] in [0, 1].
/// Throws std::runtime_error.
torch::Tensor load_png(const std::string& path);

/// Writes an 8-bit PNG, clamped to [0, 1]. Throws std::runtime_error.
void save_png(const std::string& path,
              const torch::Tensor& image); // [3, H, W]

/// The images in rows of `columns`, with white between them.
torch::Tensor contact_sheet(
    const std::vector<torch::Tensor>& images, // [3, H, W] each
    int64_t columns);

/// Creates the folder if there is none. Throws std::runtime_error if that
/// fails, or if no file can be written there.
void prepare_folder(const std::string& path);

/// Throws std::runtime_error where the file cannot be written.
void write_text(const std::string& path, const std::string& text);
