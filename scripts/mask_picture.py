#!/usr/bin/env python3
"""Draws docs/images/mask.jpg: what the windows beside a mask see, and two remedies.

    pip install numpy pillow
    scripts/mask_picture.py PHOTO docs/images/mask.jpg

PHOTO is a photograph of at least 256 x 256 pixels. In the target, something stands in
front of it that the mask hides and the renderer does not draw. The render is the
photograph with a little noise. The maps show 1 - SSIM of the pixels that count.
"""

import sys

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIZE, RADIUS, SIGMA = 256, 5, 1.5
MARGIN, CAPTION = 6, 22


def blur(image):
    """Gaussian blur of [H, W], with zeros around the image."""
    taps = np.exp(-0.5 * (np.arange(-RADIUS, RADIUS + 1) / SIGMA) ** 2)
    taps /= taps.sum()
    for axis in (0, 1):
        image = np.apply_along_axis(np.convolve, axis, image, taps, mode="same")
    return image


def dssim(x, y):
    """The map of 1 - SSIM, the mean over the channels: [H, W] from [H, W, C]."""
    maps = []
    for a, b in zip(np.moveaxis(x, 2, 0), np.moveaxis(y, 2, 0)):
        mean_a, mean_b = blur(a), blur(b)
        variances = blur(a * a) - mean_a**2 + blur(b * b) - mean_b**2
        covariance = blur(a * b) - mean_a * mean_b
        luminance = (2 * mean_a * mean_b + 1e-4) / (mean_a**2 + mean_b**2 + 1e-4)
        maps.append(1 - luminance * (2 * covariance + 9e-4) / (variances + 9e-4))
    return np.mean(maps, axis=0)


def dilated(hidden):
    """The pixels with a hidden one in their window."""
    result = hidden.copy()
    for axis in (0, 1):
        result = np.any([np.roll(result, k, axis) for k in range(-RADIUS, RADIUS + 1)], axis=0)
    return result


def as_image(values):
    values = np.clip(values, 0, 1)
    return Image.fromarray((255 * values).round().astype(np.uint8)).convert("RGB")


def main():
    photo_path, output_path = sys.argv[1:]
    photo = Image.open(photo_path).convert("RGB")
    left = (photo.width - SIZE) // 2
    photo = photo.crop((left, 0, left + SIZE, SIZE))

    hidden_picture = Image.new("L", photo.size)
    ImageDraw.Draw(hidden_picture).ellipse((60, 130, 150, 235), fill=255)
    hidden = np.asarray(hidden_picture) > 0

    clean = np.asarray(photo) / 255
    target = np.where(hidden[..., None], [0.1, 0.45, 0.15], clean)
    rendered = clean + 0.02 * np.random.default_rng(0).standard_normal(clean.shape)
    composited = np.where(hidden[..., None], target, rendered)
    counted, eroded = ~hidden, ~dilated(hidden)

    alone = dssim(rendered, target)
    panels = [
        ("target", target),
        ("render", rendered),
        ("mask", counted.astype(float)),
        ("mask alone", alone * counted),
        ("composited", dssim(composited, target) * counted),
        ("eroded mask", alone * eroded),
    ]
    for name, map_, weight in (
        ("mask alone", alone, counted),
        ("composited", dssim(composited, target), counted),
        ("eroded mask", alone, eroded),
    ):
        print(f"{name}: mean of 1 - SSIM {(map_ * weight).sum() / weight.sum():.4f}")

    width = 3 * SIZE + 4 * MARGIN
    height = 2 * (SIZE + CAPTION) + 3 * MARGIN
    sheet = Image.new("RGB", (width, height), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for i, (name, values) in enumerate(panels):
        x = MARGIN + i % 3 * (SIZE + MARGIN)
        y = MARGIN + i // 3 * (SIZE + CAPTION + MARGIN)
        draw.text((x, y), name, fill="black", font=font)
        sheet.paste(as_image(values), (x, y + CAPTION))
    sheet.save(output_path, quality=85)


if __name__ == "__main__":
    main()
