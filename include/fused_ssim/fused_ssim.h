#pragma once

// Everything: include this one, or just what you use.
#include <fused_ssim/autograd.h>
#include <fused_ssim/functional.h>
#include <fused_ssim/modules.h>
#include <fused_ssim/options.h>
#include <fused_ssim/version.h>
