#!/usr/bin/env python3
"""Writes tests/golden/*.json: SSIM and MS-SSIM by independent implementations.

    python3 -m venv /tmp/golden
    /tmp/golden/bin/pip install scikit-image==0.25.2 pytorch-msssim==1.0.0 \
        torchmetrics==1.8.2 kornia==0.9.0 torch==2.11.0
    /tmp/golden/bin/python scripts/make_golden.py

All packages agree on SSIM with padding `valid`. SSIM with `same` comes from
scikit-image and images with zeros around them. SSIM with `reflect`, the mean over the
windows around all pixels of images that are mirrored at their borders, is what
torchmetrics and kornia report. MS-SSIM comes from pytorch-msssim. That of torchmetrics
counts windows over mirrored borders at the last scale, and there alone. Integer formulas
give the images, and tests/golden_test.cpp repeats them, so the files hold only results.
Each file also holds the command and the versions that made it.
"""

import json
import pathlib
from importlib.metadata import version

import kornia
import numpy as np
import torch
from pytorch_msssim import ms_ssim as msssim_ms_ssim
from pytorch_msssim import ssim as msssim_ssim
from skimage.metrics import structural_similarity
from torchmetrics.functional.image import (
    structural_similarity_index_measure as torchmetrics_ssim,
)

COMMAND = "python scripts/make_golden.py"
FOLDER = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden"

# (pair of images, [C, H, W])
IMAGES = [
    ("random", (3, 33, 47)),
    ("close", (3, 33, 47)),
    ("bright", (1, 40, 29)),
    ("unlike", (4, 16, 61)),
]
# No multiple of the width of an image: it would pick one column only.
SAMPLE_STEP = 37

DEFAULT_WEIGHTS = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]
# (pair of images, [C, H, W], window size, sigma, weights). pytorch-msssim wants sides above
# 16 (window size - 1), whatever the weights.
MULTI_SCALE = [
    ("close", (3, 161, 170), 11, 1.5, DEFAULT_WEIGHTS),
    ("random", (3, 35, 47), 3, 0.8, DEFAULT_WEIGHTS),
    ("close", (3, 35, 47), 3, 0.8, DEFAULT_WEIGHTS),
    ("bright", (1, 70, 89), 5, 1.0, [0.3, 0.2, 0.5]),
    ("bright", (4, 66, 71), 5, 1.0, [0.5, 0.5]),
]


def bytes_of(seed, shape):
    """Integers 0..255, [C, H, W], from a 32-bit integer hash of the index."""
    index = np.arange(np.prod(shape), dtype=np.uint64) + np.uint64(seed * 1000003)
    mask = np.uint64(0xFFFFFFFF)
    value = (index * np.uint64(2654435761)) & mask
    value ^= value >> np.uint64(15)
    value = (value * np.uint64(2246822519)) & mask
    value ^= value >> np.uint64(13)
    return (value & np.uint64(255)).astype(np.int64).reshape(shape)


def pair(name, shape):
    """The two images of a pair, float64 in [0, 1]."""
    first, second = bytes_of(1, shape), bytes_of(2, shape)
    ramp = np.broadcast_to(np.arange(shape[2]) * 4 % 256, shape)
    if name == "random":
        x, y = first, second
    elif name == "close":
        x, y = (first + 3 * ramp) // 4, (first + 3 * ramp + second // 32) // 4
    elif name == "bright":
        x, y = 230 + first // 32, 230 + second // 32
    else:
        x, y = ramp, 255 - (ramp + first // 16) // 2
    return x / 255, y / 255


def samples(array, step=SAMPLE_STEP):
    """Every step-th value of an array, by its flat index."""
    flat = np.asarray(array, dtype=np.float64).ravel()
    return {str(i): float(flat[i]) for i in range(0, flat.size, step)}


def cases(evaluate, settings):
    """evaluate(x, y, **setting) returns the results that a case stores beside its inputs."""
    result = []
    for setting in settings:
        for name, shape in IMAGES:
            x, y = pair(name, shape)
            if setting["padding"] == "valid" and min(shape[1:]) < setting["window_size"]:
                continue
            result.append(
                {"images": name, "shape": list(shape), **setting, **evaluate(x, y, **setting)}
            )
    return result


def gaussian_border(sigma):
    """Pixels on each side of the window that scikit-image and torchmetrics use."""
    return int(3.5 * sigma + 0.5)


def by_scikit_image(x, y, window_size, sigma, padding):
    border = gaussian_border(sigma)
    assert border == window_size // 2
    if padding == "same":
        # Zeros around the images: windows inside the padded image are the
        # windows of the image that reach over its border.
        around = ((0, 0), (border, border), (border, border))
        x, y = np.pad(x, around), np.pad(y, around)
    mean, full = structural_similarity(
        x,
        y,
        channel_axis=0,
        data_range=1,
        gaussian_weights=True,
        sigma=sigma,
        use_sample_covariance=False,
        full=True,
    )
    inside = full[:, border : full.shape[1] - border, border : full.shape[2] - border]
    # scikit-image crops by the same border, so both means are equal.
    assert abs(inside.mean() - mean) < 1e-12
    return {"mean": float(mean), "map": samples(inside)}


def with_gradient(function):
    def evaluate(x, y, **setting):
        a = torch.tensor(x)[None].requires_grad_()
        b = torch.tensor(y)[None]
        value = function(a, b, setting)
        value.backward()
        return {"mean": value.item(), "gradient": samples(a.grad)}

    return evaluate


def by_pytorch_msssim(a, b, setting):
    return msssim_ssim(
        a, b, data_range=1, win_size=setting["window_size"], win_sigma=setting["sigma"]
    )


def by_torchmetrics(a, b, setting):
    border = gaussian_border(setting["sigma"])
    assert border == setting["window_size"] // 2
    # It reflects the images at their borders and takes the mean over all windows.
    mean, full = torchmetrics_ssim(
        a, b, data_range=1.0, sigma=setting["sigma"], return_full_image=True
    )
    if setting["padding"] == "reflect":
        return mean.mean()
    return full[..., border:-border, border:-border].mean()


def multi_scale_cases(function, images):
    """function(x, y, window_size, sigma, weights) returns the value."""
    result = []
    for name, shape, window_size, sigma, weights in images:
        x, y = (torch.tensor(image)[None] for image in pair(name, shape))
        x.requires_grad_()
        value = function(x, y, window_size, sigma, weights)
        value.backward()
        result.append(
            {
                "images": name,
                "shape": list(shape),
                "window_size": window_size,
                "sigma": sigma,
                "weights": weights,
                "value": value.item(),
                "gradient": samples(x.grad, 2 * (x.numel() // 200) + 1),  # about 100
            }
        )
    return result


def ms_ssim_by_pytorch_msssim(x, y, window_size, sigma, weights):
    # Its own window is float32, which costs 1e-5 where the images are bright.
    position = torch.arange(window_size, dtype=x.dtype) - window_size // 2
    window = torch.exp(-(position**2) / (2 * sigma**2))
    window = (window / window.sum()).repeat(x.shape[1], 1, 1, 1)
    return msssim_ms_ssim(x, y, data_range=1, win=window, weights=weights)


def by_kornia(a, b, setting):
    # Its "same" is reflection, and its sigma is always 1.5.
    assert setting == {"padding": "reflect", "window_size": setting["window_size"], "sigma": 1.5}
    return kornia.metrics.ssim(a, b, setting["window_size"]).mean()


def setting(padding, window_size=11, sigma=1.5):
    return {"padding": padding, "window_size": window_size, "sigma": sigma}


def write(name, packages, tolerance, gradient_tolerance, content):
    document = {
        "command": COMMAND,
        "versions": {package: version(package) for package in packages},
        # Tolerances of the mean, and of the gradient relative to its largest
        # element.
        "tolerance": tolerance,
        "gradient_tolerance": gradient_tolerance,
        "cases": content,
    }
    text = json.dumps(document, indent=1)
    (FOLDER / f"{name}.json").write_text(text + "\n")


def main():
    FOLDER.mkdir(exist_ok=True)
    write(
        "scikit_image",
        ["scikit-image", "scipy", "numpy"],
        1e-12,
        None,
        cases(
            by_scikit_image,
            [
                setting("valid"),
                setting("same"),
                setting("valid", 9, 1.0),
                setting("same", 15, 2.0),
            ],
        ),
    )
    # pytorch-msssim rounds its window to float32, whose sum is then no longer
    # 1. That costs 1.4e-5 (1e-4 of the gradient) where E[x^2] - mu^2 is a small
    # difference ("bright").
    write(
        "pytorch_msssim",
        ["pytorch-msssim", "torch"],
        3e-5,
        2e-4,
        cases(
            with_gradient(by_pytorch_msssim),
            [setting("valid"), setting("valid", 7, 1.2)],
        ),
    )
    write(
        "torchmetrics",
        ["torchmetrics", "torch"],
        1e-10,
        1e-10,
        cases(
            with_gradient(by_torchmetrics),
            [setting("valid"), setting("valid", 15, 2.0), setting("reflect")],
        ),
    )
    # kornia adds 1e-12 to the denominator.
    write(
        "kornia",
        ["kornia", "torch"],
        1e-8,
        1e-6,
        cases(with_gradient(by_kornia), [setting("reflect")]),
    )
    write_multi_scale()


def write_multi_scale():
    write(
        "pytorch_msssim_multi_scale",
        ["pytorch-msssim", "torch"],
        1e-10,
        1e-10,
        multi_scale_cases(ms_ssim_by_pytorch_msssim, MULTI_SCALE),
    )


if __name__ == "__main__":
    main()
