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

__all__ = [
    "Agreement",
    "Calibration",
    "Ranges",
    "TowerCalibration",
    "agreement",
    "can_quantize",
    "can_run_int8",
    "quantized_layers",
    "replace_layers",
    "watching",
]
