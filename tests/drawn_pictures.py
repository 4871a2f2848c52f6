"""Small pictures for tests, each with content of its own."""

from pathlib import Path

from PIL import Image, ImageDraw


def draw_picture(path: Path, color: tuple[int, int, int] = (255, 0, 0), mark: int = 0) -> Path:
    """A picture of one colour; `mark` makes its bytes different from others' of that colour."""
    image = Image.new("RGB", (64, 48), color)
    shade = tuple(min(255, part + 9) if part < 128 else part - 9 for part in color)
    draw = ImageDraw.Draw(image)
    for bit in range(12):
        if mark >> bit & 1:
            draw.rectangle([bit * 5, 2, bit * 5 + 3, 5], fill=shade)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path
