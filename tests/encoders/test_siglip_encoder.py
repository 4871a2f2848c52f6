"""The whole encoder against transformers' own pipeline, and under stress."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from encoders import EncoderConfig, EncoderError, load_encoder
from encoders.siglip import DualEncoder
from encoders.siglip.scores import background_cosines, sigmoid, softmax_bias

FAMILIES = ["siglip2", "naflex", "siglip1", "clip", "chinese_clip", "altclip", "metaclip2"]
TEXTS = ["con mèo trên bàn", "a dog in the snow, twice", "", "красный дом у моря", "cat " * 90]


@pytest.fixture(scope="module")
def encoder_of(
    checkpoint_of: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], DualEncoder]:
    """A family's name → a new encoder."""
    cache = tmp_path_factory.mktemp("cache")

    def load(family: str) -> DualEncoder:
        config = EncoderConfig(device="cpu", cache_dir=cache)
        encoder = load_encoder(str(checkpoint_of(family)), config)
        assert isinstance(encoder, DualEncoder)
        return encoder

    return load


def _pictures(*sizes: tuple[int, int]) -> list[Image.Image]:
    random = np.random.default_rng(7)
    return [
        Image.fromarray(random.integers(0, 256, (height, width, 3)).astype(np.uint8))
        for width, height in sizes
    ]


def _reference_model(folder: Path) -> torch.nn.Module:
    from transformers import AutoModel

    model: torch.nn.Module = AutoModel.from_pretrained(folder).eval()
    return model


@pytest.mark.parametrize("family", FAMILIES)
def test_pictures_embed_as_in_the_checkpoints_own_pipeline(
    checkpoint_of: Callable[[str], Path], encoder_of: Callable[[str], DualEncoder], family: str
) -> None:
    from transformers import AutoImageProcessor

    pictures = _pictures((64, 48), (48, 64), (30, 30), (200, 20), (640, 480), (5, 5))
    model = _reference_model(checkpoint_of(family))
    processor = AutoImageProcessor.from_pretrained(checkpoint_of(family), backend="pil")
    with torch.no_grad():
        inputs = processor(images=pictures, return_tensors="pt")
        expected = torch.nn.functional.normalize(model.get_image_features(**inputs).pooler_output)

    embeddings = encoder_of(family).encode_images(pictures)

    assert embeddings.dtype == np.float32
    assert (embeddings * expected.numpy()).sum(axis=1).min() > 0.9999
    assert np.linalg.norm(embeddings, axis=1) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_texts_embed_as_in_the_checkpoints_own_pipeline(
    checkpoint_of: Callable[[str], Path], encoder_of: Callable[[str], DualEncoder], family: str
) -> None:
    from transformers import AutoTokenizer, Siglip2Tokenizer

    model = _reference_model(checkpoint_of(family))
    if family == "siglip1":
        pytest.importorskip("google.protobuf", reason="transformers' SiglipTokenizer asks for it")
    tokenizer_class = Siglip2Tokenizer if family in {"siglip2", "naflex"} else AutoTokenizer
    tokenizer = tokenizer_class.from_pretrained(checkpoint_of(family))
    prepared = [" ".join(text.split()) for text in TEXTS]
    tokens = tokenizer(prepared, padding="max_length", truncation=True, return_tensors="pt")
    names = ["input_ids"] if "siglip" in family or family == "naflex" else list(tokens)
    with torch.no_grad():
        pooled = model.get_text_features(**{name: tokens[name] for name in names}).pooler_output
    expected = torch.nn.functional.normalize(pooled)

    embeddings = encoder_of(family).encode_texts(TEXTS)

    assert (embeddings * expected.numpy()).sum(axis=1).min() > 0.9999
    assert np.linalg.norm(embeddings, axis=1) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_embedding_does_not_depend_on_its_batch(
    encoder_of: Callable[[str], DualEncoder], family: str
) -> None:
    encoder = encoder_of(family)
    pictures = _pictures((64, 48), (48, 64), (30, 30), (90, 20), (64, 48))
    together = encoder.encode_images(pictures)
    alone = np.concatenate([encoder.encode_images([picture]) for picture in pictures])
    assert together == pytest.approx(alone, abs=1e-4)
    together = encoder.encode_texts(TEXTS)
    alone = np.concatenate([encoder.encode_texts([text]) for text in TEXTS])
    assert together == pytest.approx(alone, abs=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_gives_no_rows(encoder_of: Callable[[str], DualEncoder], family: str) -> None:
    encoder = encoder_of(family)
    assert encoder.encode_texts([]).shape == (0, 32)
    assert encoder.encode_images([]).shape == (0, 32)
    assert encoder.encode_preprocessed([]).shape == (0, 32)


def test_many_threads_get_what_one_gets(encoder_of: Callable[[str], DualEncoder]) -> None:
    encoder = encoder_of("naflex")
    pictures = _pictures(*[(40 + 7 * i, 50) for i in range(12)])
    texts = [f"a cat {number}" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        by_picture = list(pool.map(lambda picture: encoder.encode_images([picture]), pictures))
        by_text = list(pool.map(lambda text: encoder.encode_texts([text]), texts))
    assert np.concatenate(by_picture) == pytest.approx(encoder.encode_images(pictures), abs=1e-4)
    assert np.concatenate(by_text) == pytest.approx(encoder.encode_texts(texts), abs=1e-4)


def _run_out_of_memory_above(encoder: DualEncoder, largest: int) -> list[int]:
    """Have the picture tower fail as CUDA does; returns the sizes of batches that it is given."""
    sizes: list[int] = []

    def refuse(module: torch.nn.Module, args: object, kwargs: dict[str, torch.Tensor]) -> None:
        sizes.append(len(kwargs["pixel_values"]))
        if sizes[-1] > largest:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    encoder._model.vision_model.register_forward_pre_hook(refuse, with_kwargs=True)
    return sizes


@pytest.mark.parametrize("family", ["siglip2", "naflex"])
def test_out_of_memory_halves_the_batch_and_goes_on(
    encoder_of: Callable[[str], DualEncoder], family: str
) -> None:
    pictures = _pictures(*[(64, 48)] * 13)
    expected = encoder_of(family).encode_images(pictures)
    encoder = encoder_of(family)
    sizes = _run_out_of_memory_above(encoder, 3)
    assert encoder.encode_images(pictures) == pytest.approx(expected, abs=1e-4)
    assert sizes == [13, 6, 3, 3, 3, 3, 1]
    encoder.encode_images(pictures[:6])
    assert sizes[7:] == [3, 3]


def test_out_of_memory_for_one_picture_says_what_to_do(
    encoder_of: Callable[[str], DualEncoder],
) -> None:
    encoder = encoder_of("siglip2")
    _run_out_of_memory_above(encoder, 0)
    with pytest.raises(EncoderError, match="more memory than cpu has"):
        encoder.encode_images(_pictures((9, 9)))


def test_large_batches_go_through_in_parts(encoder_of: Callable[[str], DualEncoder]) -> None:
    encoder = encoder_of("siglip2")
    sizes = _run_out_of_memory_above(encoder, 1000)
    pictures = _pictures(*[(8, 8)] * 70)
    assert encoder.encode_images(pictures).shape == (70, 32)
    assert sizes == [16, 16, 16, 16, 6]


def test_numbers_that_are_not_finite_are_an_error(
    encoder_of: Callable[[str], DualEncoder],
) -> None:
    encoder = encoder_of("siglip2")
    with torch.no_grad():
        encoder._model.vision_model.head.layernorm.weight.fill_(float("nan"))
    with pytest.raises(EncoderError, match="not finite"):
        encoder.encode_images(_pictures((9, 9)))


@pytest.mark.parametrize("patches", [0, 127, 1025])
def test_a_patch_budget_that_naflex_was_not_trained_for_is_refused(patches: int) -> None:
    with pytest.raises(EncoderError, match=f"max_num_patches is {patches}"):
        EncoderConfig(max_num_patches=patches)


def test_a_query_that_is_cut_warns(encoder_of: Callable[[str], DualEncoder]) -> None:
    encoder = encoder_of("siglip2")
    assert encoder.text_warnings(" ".join(["a"] * 63)) == []
    assert encoder.text_warnings("") == []
    (warning,) = encoder.text_warnings(" ".join(["a"] * 64))
    assert "65 tokens" in warning
    assert "first 64" in warning


@pytest.mark.parametrize("family", ["siglip2", "naflex", "siglip1"])
def test_probability_is_the_checkpoints_own_sigmoid(
    checkpoint_of: Callable[[str], Path], encoder_of: Callable[[str], DualEncoder], family: str
) -> None:
    encoder = encoder_of(family)
    model = _reference_model(checkpoint_of(family))
    cosines = np.linspace(-1, 1, 41, dtype=np.float32)
    logits = torch.from_numpy(cosines) * model.logit_scale.exp() + model.logit_bias
    expected = torch.sigmoid(logits).detach().numpy()
    assert encoder.match_probability(cosines) == pytest.approx(expected, abs=1e-6)


def test_softmax_bias_weighs_a_match_against_a_thousand_unrelated_pictures() -> None:
    unrelated = np.random.default_rng(0).normal(0.18, 0.015, 1000).astype(np.float32)
    bias = softmax_bias(unrelated, scale=100)
    for cosine in (0.22, 0.25, 0.28, 0.31):
        match = np.exp(100 * cosine)
        softmax = match / (match + np.exp(100 * unrelated.astype(np.float64)).sum())
        probability = sigmoid(np.float32([100 * cosine + bias]))[0]
        assert probability == pytest.approx(softmax, abs=0.02)


def test_probability_of_a_softmax_family_is_low_for_its_background(
    encoder_of: Callable[[str], DualEncoder],
) -> None:
    encoder = encoder_of("clip")
    background = background_cosines(encoder)
    probability = encoder.match_probability(background.mean(keepdims=True))
    assert probability.dtype == np.float32
    assert 0 <= probability[0] < 0.001
    assert encoder.match_probability(background.max(keepdims=True) + 1)[0] > 0.5


def test_bfloat16_stays_close_to_float32(
    checkpoint_of: Callable[[str], Path],
    encoder_of: Callable[[str], DualEncoder],
    tmp_path: Path,
) -> None:
    pictures = _pictures((64, 48), (30, 30))
    config = EncoderConfig(device="cpu", dtype="bfloat16", cache_dir=tmp_path)
    for family in ("siglip2", "naflex"):
        half = load_encoder(str(checkpoint_of(family)), config)
        for found, wanted in (
            (half.encode_images(pictures), encoder_of(family).encode_images(pictures)),
            (half.encode_texts(TEXTS), encoder_of(family).encode_texts(TEXTS)),
        ):
            assert found.dtype == np.float32
            assert (found * wanted).sum(axis=1).min() > 0.998


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (EncoderConfig(device="cuda:7"), "Device 'cuda:7'"),
        (EncoderConfig(device="toaster"), "Device 'toaster'"),
        (EncoderConfig(device="cpu", dtype="int4"), "Unknown dtype 'int4'"),
    ],
)
def test_a_device_or_dtype_that_is_not_there_is_named(
    checkpoint_of: Callable[[str], Path], settings: EncoderConfig, message: str
) -> None:
    with pytest.raises(EncoderError, match=message):
        load_encoder(str(checkpoint_of("siglip2")), settings)


def test_importing_encoders_imports_no_torch() -> None:
    code = (
        "import encoders, sys; print({'torch', 'transformers', 'huggingface_hub'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_torchvision_that_breaks_transformers_is_named(
    checkpoint_of: Callable[[str], Path], tmp_path: Path
) -> None:
    """As PyPI's torchvision does beside PyTorch's build for the CPU."""
    (tmp_path / "torchvision").mkdir()
    complaint = "operator torchvision::nms does not exist"
    (tmp_path / "torchvision" / "__init__.py").write_text(f"raise RuntimeError({complaint!r})")
    (tmp_path / "torchvision-9.0.dist-info").mkdir()
    metadata = "Metadata-Version: 2.1\nName: torchvision\nVersion: 9.0\n"
    (tmp_path / "torchvision-9.0.dist-info" / "METADATA").write_text(metadata)
    code = f"""if True:
        import sys; sys.path.insert(0, {str(tmp_path)!r})
        from encoders import EncoderConfig, EncoderError, load_encoder
        try:
            load_encoder({str(checkpoint_of("clip"))!r}, EncoderConfig(device="cpu"))
        except EncoderError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert complaint in done.stdout
    assert "pip uninstall torchvision" in done.stdout


def test_a_siglip_needs_nothing_of_transformers(
    checkpoint_of: Callable[[str], Path], tmp_path: Path
) -> None:
    """Whose import takes longer than everything else of a single query."""
    code = f"""if True:
        import sys
        from pathlib import Path
        from encoders import EncoderConfig, load_encoder
        config = EncoderConfig(device="cpu", cache_dir=Path({str(tmp_path)!r}))
        encoder = load_encoder({str(checkpoint_of("siglip2"))!r}, config)
        print(encoder.encode_texts(["a cat"]).shape, "transformers" in sys.modules)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "(1, 32) False"
