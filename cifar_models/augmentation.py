"""Augmentation of a batch, on its device: every image has draws of its own, and nothing waits for the device.

What an epoch does to its samples is drawn before it, on the CPU, so that every device sees the same; a sample that
nothing is to happen to has parameters that give its own bytes back. The order is fixed: colours (brightness, contrast,
saturation, hue), rotation, flip, crop. torchvision's ColorJitter shuffles its four for each image; the result differs
only where a value was clamped in between, or by the contrast's mean.

Shapes: N images, S samples of an epoch, B of them in a batch, P parameters a sample; C channels (red, green, blue),
H rows, W columns.
"""

import torch
from torch import Tensor

from cifar_models.config import AugmentationConfig

PARAMETERS = ("brightness", "contrast", "saturation", "hue", "cos", "sin", "flip", "down", "right")
"""What each column of the parameters holds.

- brightness, contrast, saturation: factors; 1 changes nothing.
- hue: its shift, in turns; 0 changes nothing.
- cos, sin: of the angle that the image turns by, counter-clockwise.
- flip: 1 if left and right change places, else 0.
- down, right: pixels from the top left corner of the image to that of the crop; negative is up and left.
"""

IDENTITY = (1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0)
"""Parameters that change nothing, to the last bit."""

NUM_DRAWS = 10
"""Random numbers an image. All are drawn whatever is used, so arms of one mode share what they have in common."""

MAX_LEVEL = 255.0

LUMA_C = (0.2989, 0.587, 0.114)
"""Share of each channel in the grey of a colour. Source: ITU-R BT.601, with the digits that torchvision keeps."""

HUE_OFFSET_C = (5 / 6, 3 / 6, 1 / 6)
"""Turns from each channel's lowest point to hue 0. Source: the alternative HSV to RGB formula (5, 3 and 1 sixths),
https://en.wikipedia.org/wiki/HSL_and_HSV#HSV_to_RGB_alternative"""


def draw_parameters(config: AugmentationConfig, num_images: int, generator: torch.Generator) -> Tensor:
    """What an epoch does to each of its samples.

    Sample `i` is image `i % N`. With mode `added` the first N are the images as they are, the others changed copies.

    Args:
        config: Probabilities and strengths.
        num_images: Number of images, N.
        generator: A generator of the CPU; it advances by the same amount for every configuration.

    Returns:
        `(S, P) float32` on the CPU, columns as `PARAMETERS`.
    """
    draw_ND = torch.rand(num_images, NUM_DRAWS, generator=generator)
    is_jittered, brightness, contrast, saturation, hue, is_rotated, angle, is_flipped, down, right = draw_ND.unbind(1)
    strength, padding = config.jitter_strength, config.crop_padding
    radians = torch.deg2rad(_spread(angle, config.max_degrees)) * (is_rotated < config.rotation)
    color_N4 = torch.stack(
        [
            1 + _spread(brightness, strength),
            1 + _spread(contrast, strength),
            1 + _spread(saturation, strength),
            _spread(hue, strength / 4),
        ],
        dim=1,
    )
    jittered_N1 = (is_jittered < config.color_jitter)[:, None]
    place_N5 = torch.stack(
        [
            radians.cos(),
            radians.sin(),
            (is_flipped < config.flip).float(),
            # an odd number of places times a draw below 1 never rounds up to that number
            (down * (2 * padding + 1)).floor() - padding,
            (right * (2 * padding + 1)).floor() - padding,
        ],
        dim=1,
    )
    parameters_NP = torch.cat([torch.where(jittered_N1, color_N4, torch.tensor(IDENTITY[:4])), place_N5], dim=1)
    if config.mode == "added":
        return torch.cat([torch.tensor(IDENTITY).expand_as(parameters_NP), parameters_NP])
    return parameters_NP


def augment(image_BCHW: Tensor, parameter_BP: Tensor, config: AugmentationConfig) -> Tensor:
    """A batch with its changes made; an image's result does not depend on the others, nor on the memory format.

    Args:
        image_BCHW: `uint8`; it is not written to.
        parameter_BP: A row of `draw_parameters` for each, on the same device.
        config: Says what can be left out for all of them. It draws nothing.

    Returns:
        `(B, C, H, W) float32` in 0 to 255, a tensor of its own. Without colour jitter all values stay whole.
    """
    x_BCHW = image_BCHW
    if config.color_jitter > 0:
        x_BCHW = _jitter(x_BCHW.float(), *parameter_BP[:, :4].unbind(1))
    if config.rotation > 0 or config.flip > 0 or config.crop_padding > 0:
        x_BCHW = _move(x_BCHW, *parameter_BP[:, 4:].unbind(1))
    return x_BCHW.float()


def _spread(draw_N: Tensor, radius: float) -> Tensor:
    """A draw from 0 to 1 as one from `-radius` to `radius`."""
    return (2 * draw_N - 1) * radius


def _jitter(x_BCHW: Tensor, brightness_B: Tensor, contrast_B: Tensor, saturation_B: Tensor, hue_B: Tensor) -> Tensor:
    """Colours changed as torchvision's `adjust_brightness`, `_contrast`, `_saturation` and `_hue` do, in this order."""
    x_BCHW = (x_BCHW * _per_image(brightness_B)).clamp_(0, MAX_LEVEL)
    mean_B111 = _grey(x_BCHW).mean(dim=(1, 2, 3), keepdim=True)
    # lerp gives its second argument back exactly at 1, and its first at 0
    x_BCHW = torch.lerp(mean_B111, x_BCHW, _per_image(contrast_B)).clamp_(0, MAX_LEVEL)
    x_BCHW = torch.lerp(_grey(x_BCHW), x_BCHW, _per_image(saturation_B)).clamp_(0, MAX_LEVEL)
    is_turned_B111 = _per_image((hue_B != 0).float())
    return torch.lerp(x_BCHW, _turn_hue(x_BCHW, hue_B), is_turned_B111)


def _per_image(value_B: Tensor) -> Tensor:
    return value_B[:, None, None, None]


def _grey(x_BCHW: Tensor) -> Tensor:
    """Brightness as the eye sees it, `(B, 1, H, W)`."""
    red, green, blue = x_BCHW.unbind(1)
    return (red * LUMA_C[0] + green * LUMA_C[1] + blue * LUMA_C[2])[:, None]


def _turn_hue(x_BCHW: Tensor, shift_B: Tensor) -> Tensor:
    """Hue shifted by so many turns; the largest and the smallest channel of a pixel keep their values.

    HSV without its detour: a channel falls from the largest to the smallest value and back as the hue goes around.
    """
    red, green, blue = x_BCHW.unbind(1)
    # elementwise, as a reduction over three channels is slower
    largest_BHW = torch.maximum(torch.maximum(red, green), blue)
    range_BHW = largest_BHW - torch.minimum(torch.minimum(red, green), blue)
    divisor_BHW = 6 * range_BHW.clamp(min=1e-9)  # a grey pixel has no hue, and range 0 leaves it as it is
    hue_BHW = torch.where(
        largest_BHW == red,
        (green - blue) / divisor_BHW,
        torch.where(largest_BHW == green, 1 / 3 + (blue - red) / divisor_BHW, 2 / 3 + (red - green) / divisor_BHW),
    )
    hue_BHW = hue_BHW + shift_B[:, None, None]
    channels = []
    for offset in HUE_OFFSET_C:
        turn_BHW = hue_BHW + offset
        turn_BHW = turn_BHW.sub_(turn_BHW.floor())  # remainder(1) takes four times as long
        below_BHW = (2 - (6 * turn_BHW - 2).abs_()).clamp_(0, 1)
        channels.append(largest_BHW - range_BHW * below_BHW)
    return torch.stack(channels, dim=1)


def _move(x_BCHW: Tensor, cos_B: Tensor, sin_B: Tensor, flip_B: Tensor, down_B: Tensor, right_B: Tensor) -> Tensor:
    """Pixels rotated about the centre, flipped and cropped in one exact gather; black where there was no image.

    A pixel takes the value of the nearest one, which is the default of torchvision's RandomRotation: values are never
    mixed, so that the steps compose. From the last step back: where does a pixel of the result come from?
    """
    _, num_channels, height, width = x_BCHW.shape
    row_BH1 = (torch.arange(height, device=x_BCHW.device) + down_B[:, None])[:, :, None]
    column_B1W = (torch.arange(width, device=x_BCHW.device) + right_B[:, None])[:, None, :]
    # outside of the flipped, rotated image, where the crop's padding begins
    is_inside_BHW = _is_within(row_BH1, height) & _is_within(column_B1W, width)

    y_BH1, x_B1W = row_BH1 - (height - 1) / 2, column_B1W - (width - 1) / 2
    x_B1W = x_B1W * (1 - 2 * flip_B)[:, None, None]
    cos_B11, sin_B11 = cos_B[:, None, None], sin_B[:, None, None]
    source_row_BHW = (sin_B11 * x_B1W + cos_B11 * y_BH1 + (height - 1) / 2).round_()
    source_column_BHW = (cos_B11 * x_B1W - sin_B11 * y_BH1 + (width - 1) / 2).round_()
    is_inside_BHW &= _is_within(source_row_BHW, height) & _is_within(source_column_BHW, width)

    index_BHW = source_row_BHW.clamp_(0, height - 1) * width + source_column_BHW.clamp_(0, width - 1)
    index_BCL = index_BHW.long().flatten(1)[:, None, :].expand(-1, num_channels, -1)
    moved_BCHW = x_BCHW.flatten(2).gather(2, index_BCL).reshape(x_BCHW.shape)
    return moved_BCHW * is_inside_BHW[:, None]


def _is_within(place: Tensor, size: int) -> Tensor:
    return (place >= 0) & (place < size)
