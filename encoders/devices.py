"""Which device and number format to run on."""

from typing import TYPE_CHECKING

from encoders.errors import EncoderError, first_line

if TYPE_CHECKING:
    import torch

INT8 = "int8"
"""Asked for as a dtype; what is quantized are float32 weights."""


def choose_device(name: str) -> "torch.device":
    """`auto` takes CUDA, else Apple's Metal, else the CPU; anything else is what torch calls it."""
    import torch

    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        if torch.backends.mps.is_available():
            return torch.device("mps")
        return torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise EncoderError(
            f"Device {name!r} can't be used here ({first_line(error)}). "
            "Choose auto, cpu, or a device that this computer's PyTorch supports."
        ) from error
    return device


def choose_dtype(name: str, device: "torch.device") -> "torch.dtype":
    """`auto` takes bfloat16 where the hardware multiplies it faster than float32, else float32.

    That is on CUDA and on CPUs with AMX. A CPU that only has avx512_bf16 is half as fast in
    bfloat16 as in float32.
    """
    import torch

    named = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if name == INT8:
        return torch.float32
    if name in named:
        return named[name]
    if name != "auto":
        raise EncoderError(f"Unknown dtype {name!r}: choose auto, {INT8}, {', '.join(named)}.")
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = device.type == "cpu" and torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if fast else torch.float32
