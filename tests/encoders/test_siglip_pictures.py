"""Our preprocessing gives what the checkpoint's own image processor gives."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_checkpoints import (
    build_tiny_altclip,
    build_tiny_chinese_clip,
    build_tiny_clip,
    build_tiny_metaclip2,
    build_tiny_naflex,
    build_tiny_siglip1,
    build_tiny_siglip2,
)

from encoders.errors import UnsupportedCheckpoint
from encoders.siglip.pictures import picture_input

ONE_LEVEL = 1 / 127.5
"""One step of a byte in SigLIP's range of -1 to 1."""

CPU = torch.device("cpu")


def _noise(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(width * 31 + height).integers(0, 256, (height, width, 3))
    return Image.fromarray(pixels.astype(np.uint8))


PICTURES = {
    "photo": _noise(320, 200),
    "upright": _noise(97, 311),
    "exact": _noise(32, 32),
    "one pixel": _noise(1, 1),
    "very wide": _noise(10_000, 10),
    "very tall": _noise(10, 10_000),
    "solid": Image.new("RGB", (75, 50), (200, 30, 90)),
    "white": Image.new("RGB", (40, 41), (255, 255, 255)),
}

FAMILIES = {
    "siglip2": build_tiny_siglip2,
    "naflex": build_tiny_naflex,
    "siglip1": build_tiny_siglip1,
    "clip": build_tiny_clip,
    "chinese_clip": build_tiny_chinese_clip,
    "altclip": build_tiny_altclip,
    "metaclip2": build_tiny_metaclip2,
}


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("family", FAMILIES)
def test_pixels_are_those_of_the_checkpoints_own_processor(
    checkpoint_of: Callable[[str], Path], family: str, picture: str
) -> None:
    from transformers import AutoImageProcessor

    folder, image = checkpoint_of(family), PICTURES[picture]
    ours = picture_input(folder, family, 256)
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")

    tensors = ours.tensors([ours.preprocess(image)], CPU)

    expected = processor(images=[image], return_tensors="pt")
    if family == "naflex":
        height, width = expected["spatial_shapes"][0].tolist()
        expected["pixel_values"] = expected["pixel_values"][:, : height * width]
        assert tensors["spatial_shapes"].tolist() == [[height, width]]
    difference = (tensors["pixel_values"] - expected["pixel_values"]).abs().max().item()
    assert tensors["pixel_values"].shape == expected["pixel_values"].shape
    # CLIP's range is wider: a level of its narrowest channel is 1 / (255 * 0.261).
    assert difference <= (1 / 66.6 if "clip" in family else 1e-5)


@pytest.mark.parametrize("max_num_patches", [128, 256, 1024])
def test_naflex_grids_are_the_processors_for_every_patch_budget(
    checkpoint_of: Callable[[str], Path], max_num_patches: int
) -> None:
    from transformers import AutoImageProcessor

    folder = checkpoint_of("naflex")
    ours = picture_input(folder, "naflex", max_num_patches)
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    for width, height in [(640, 480), (480, 640), (1, 1), (10_000, 10), (333, 334), (40, 4000)]:
        image = Image.new("RGB", (width, height))
        expected = processor(images=[image], max_num_patches=max_num_patches, return_tensors="pt")
        shape = ours.preprocess(image).shape
        assert [shape[0] // 8, shape[1] // 8] == expected["spatial_shapes"][0].tolist()


def test_naflex_puts_pictures_of_equal_patch_count_together(
    checkpoint_of: Callable[[str], Path],
) -> None:
    ours = picture_input(checkpoint_of("naflex"), "naflex", 256)
    sizes = [(640, 480), (300, 300), (480, 640), (1000, 100), (1280, 960)]
    batch = [ours.preprocess(_noise(*size)) for size in sizes]
    assert ours.groups(batch) == [[0, 2, 4], [1], [3]]


def test_preprocessed_pictures_are_bytes(checkpoint_of: Callable[[str], Path]) -> None:
    pixels = picture_input(checkpoint_of("siglip2"), "tiny", 256).preprocess(_noise(100, 80))
    assert (pixels.dtype, pixels.shape) == (np.uint8, (32, 32, 3))


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_a_picture_that_is_not_rgb_is_refused(
    checkpoint_of: Callable[[str], Path], mode: str
) -> None:
    with pytest.raises(ValueError, match=mode):
        picture_input(checkpoint_of("siglip2"), "tiny", 256).preprocess(Image.new(mode, (9, 9)))


@pytest.mark.parametrize("family", FAMILIES)
def test_shrinking_while_decoding_leaves_twice_the_models_input(
    checkpoint_of: Callable[[str], Path], family: str
) -> None:
    ours = picture_input(checkpoint_of(family), family, 256)
    for width, height in [(4000, 3000), (3000, 4000), (4096, 4096), (5000, 1000)]:
        factor = min(width, height) / ours.min_decode_side
        shrunk = (width / factor, height / factor)
        pixels = ours.preprocess(Image.new("RGB", (width, height)))
        if family in {"clip", "altclip", "metaclip2"}:  # the crop is smaller than what was resized
            assert min(shrunk) == 64
        else:
            assert shrunk[0] >= 2 * pixels.shape[1]
            assert shrunk[1] >= 2 * pixels.shape[0]


@pytest.mark.parametrize("family", ["siglip2", "naflex", "siglip1"])
@pytest.mark.parametrize(
    "left_out",
    [[], ["do_rescale", "rescale_factor"], ["do_normalize"], ["image_mean"], ["resample"]],
)
def test_settings_that_leave_something_out_mean_what_the_processors_class_says(
    checkpoint_of: Callable[[str], Path], tmp_path: Path, family: str, left_out: list[str]
) -> None:
    from transformers import AutoImageProcessor

    folder = tmp_path / family
    shutil.copytree(checkpoint_of(family), folder)
    settings = json.loads((folder / "preprocessor_config.json").read_text("utf-8"))
    for name in left_out:
        del settings[name]
    (folder / "preprocessor_config.json").write_text(json.dumps(settings), "utf-8")
    ours = picture_input(folder, family, 256)
    tensors = ours.tensors([ours.preprocess(_noise(48, 48))], CPU)
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    expected = processor(images=[_noise(48, 48)], return_tensors="pt")["pixel_values"]
    assert (tensors["pixel_values"] - expected).abs().max().item() <= 1e-5


def test_an_unknown_way_to_prepare_pictures_is_refused(tmp_path: Path) -> None:
    folder = build_tiny_clip(tmp_path / "odd")
    settings = folder / "preprocessor_config.json"
    settings.write_text(settings.read_text().replace('"height": 32', '"height": 48'))
    with pytest.raises(UnsupportedCheckpoint, match="crop"):
        picture_input(folder, "odd", 256)
