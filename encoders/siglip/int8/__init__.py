"""8-bit arithmetic for SigLIP's towers on CPUs with VNNI, and the gate that it has to pass."""

from encoders.siglip.int8.calibration import Agreement, Calibration, TowerCalibration, agreement
from encoders.siglip.int8.layers import (
    Ranges,
    can_quantize,
    can_run_int8,
    quantized_layers,
    replace_layers,
    watching,
)
from encoders.siglip.int8.text_pass import TextPass, text_pass_of

__all__ = [
    "Agreement",
    "Calibration",
    "Ranges",
    "TextPass",
    "TowerCalibration",
    "agreement",
    "can_quantize",
    "can_run_int8",
    "quantized_layers",
    "replace_layers",
    "text_pass_of",
    "watching",
]
