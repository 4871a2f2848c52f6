"""Folders: which are refused and why, and how a checkpoint is known by its content."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from encoders import (
    CheckpointNotFound,
    EmbeddingSpace,
    EncoderConfig,
    UnsupportedCheckpoint,
    load_encoder,
)
from encoders.checkpoints.digest import KnownDigests


@pytest.fixture
def copy_of(checkpoint_of: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    """A family's name → a copy of its folder to alter."""

    def copy(family: str) -> Path:
        return Path(shutil.copytree(checkpoint_of(family), tmp_path / f"{family} copy"))

    return copy


@pytest.fixture
def config(tmp_path: Path) -> EncoderConfig:
    return EncoderConfig(device="cpu", cache_dir=tmp_path / "cache")


def _set_json(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _alter_weights(folder: Path, alter: Callable[[dict], None]) -> None:
    weights = load_file(folder / "model.safetensors")
    alter(weights)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def test_a_missing_folder_is_not_found(tmp_path: Path, config: EncoderConfig) -> None:
    for path in (str(tmp_path / "nothing"), "./nothing", "~/no such folder", "a/b/c"):
        with pytest.raises(CheckpointNotFound, match="no folder"):
            load_encoder(path, config)


def _drop(*names: str) -> Callable[[Path], None]:
    def drop(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return drop


def _of_type(model_type: str) -> Callable[[Path], None]:
    return lambda folder: _set_json(folder / "config.json", model_type=model_type)


def _pickled_only(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _jax(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / "model.npz").touch()


def _adapter(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / "adapter_config.json").touch()


def _open_clip(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / "open_clip_config.json").touch()


def _broken_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def _without_text_head(folder: Path) -> None:
    _alter_weights(folder, lambda weights: weights.pop("text_model.head.weight"))


def _of_another_shape(folder: Path) -> None:
    def halve(weights: dict) -> None:
        table = weights["text_model.embeddings.token_embedding.weight"]
        weights["text_model.embeddings.token_embedding.weight"] = table[:100].clone()

    _alter_weights(folder, halve)


def _truncated(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])


def _broken_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text('{"version": "1.0"}')


def _broken_picture_settings(folder: Path) -> None:
    _set_json(folder / "preprocessor_config.json", size="large")


def _missing_shard(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {"logit_scale": "model-00001-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_of_type("siglip_vision_model"), "only the picture tower"),
        (_of_type("clip_text_model"), "only the text tower"),
        (_of_type("llava"), "of type 'llava'.*known types are"),
        (_drop("config.json"), "no config.json"),
        (_broken_config, "config.json can't be read"),
        (_jax, "JAX weights"),
        (_adapter, "adapter"),
        (_open_clip, "OpenCLIP"),
        (_pickled_only, "only pickled weights"),
        (_drop("model.safetensors"), "no model.safetensors"),
        (_missing_shard, "model-00001-of-00002.safetensors missing"),
        (_drop("tokenizer.json"), "lacks a tokenizer"),
        (_drop("preprocessor_config.json"), "lacks picture settings"),
        (_drop("tokenizer_config.json"), "tokenizer_config.json can't be read"),
        (_without_text_head, "lacks weights.*text_model.head.weight"),
        (_of_another_shape, "lacks weights.*token_embedding.weight"),
        (_truncated, "model.safetensors|can't be loaded"),
        (_broken_tokenizer, "tokenizer.json can't be read"),
        (_broken_picture_settings, "can't be loaded"),
    ],
)
def test_a_folder_that_can_not_work_is_refused_with_its_reason(
    copy_of: Callable[[str], Path],
    config: EncoderConfig,
    spoil: Callable[[Path], None],
    reason: str,
) -> None:
    folder = copy_of("siglip2")
    spoil(folder)
    with pytest.raises(UnsupportedCheckpoint, match=reason):
        load_encoder(str(folder), config)


def test_a_folder_with_hundreds_of_tensors_missing_names_a_few(
    copy_of: Callable[[str], Path], config: EncoderConfig
) -> None:
    folder = copy_of("siglip2")

    def drop_tower(weights: dict) -> None:
        for name in [name for name in weights if name.startswith("vision_model")]:
            del weights[name]

    _alter_weights(folder, drop_tower)
    with pytest.raises(UnsupportedCheckpoint, match=r"vision_model\..* and \d+ more"):
        load_encoder(str(folder), config)


def test_weights_in_shards_load_as_well(
    checkpoint_of: Callable[[str], Path], copy_of: Callable[[str], Path], config: EncoderConfig
) -> None:
    from transformers import AutoModel

    folder = copy_of("siglip2")
    model = AutoModel.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="100KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    whole = load_encoder(str(checkpoint_of("siglip2")), config)
    sharded = load_encoder(str(folder), config)
    assert sharded.encode_texts(["cat"]) == pytest.approx(whole.encode_texts(["cat"]), abs=1e-6)


def _space(folder: Path, config: EncoderConfig) -> EmbeddingSpace:
    return load_encoder(str(folder), config).space


def test_a_copy_is_the_same_space_whatever_it_is_called(
    checkpoint_of: Callable[[str], Path], copy_of: Callable[[str], Path], config: EncoderConfig
) -> None:
    folder = copy_of("siglip2")
    (folder / "README.md").write_text("mine")
    (folder / "pytorch_model.bin").touch()
    original, copied = _space(checkpoint_of("siglip2"), config), _space(folder, config)
    assert original.fingerprint == copied.fingerprint
    assert original.checkpoint != copied.checkpoint


def _other_weights(folder: Path) -> None:
    _alter_weights(folder, lambda weights: weights["logit_scale"].add_(0.5))


@pytest.mark.parametrize(
    "alter",
    [
        _other_weights,
        lambda folder: _set_json(folder / "config.json", initializer_factor=2.0),
        lambda folder: _set_json(folder / "preprocessor_config.json", resample=3),
        lambda folder: _set_json(folder / "tokenizer_config.json", model_max_length=32),
        lambda folder: _set_json(folder / "tokenizer.json", decoder=None),
    ],
    ids=["weights", "config", "picture settings", "tokenizer settings", "tokenizer"],
)
def test_other_content_is_another_space(
    checkpoint_of: Callable[[str], Path],
    copy_of: Callable[[str], Path],
    config: EncoderConfig,
    alter: Callable[[Path], None],
) -> None:
    folder = copy_of("siglip2")
    alter(folder)
    original, altered = _space(checkpoint_of("siglip2"), config), _space(folder, config)
    assert original.fingerprint != altered.fingerprint


def test_the_patch_budget_is_part_of_a_naflex_space_only(
    checkpoint_of: Callable[[str], Path], tmp_path: Path
) -> None:
    for family, differs in (("naflex", True), ("siglip2", False)):
        few, many = (
            _space(
                checkpoint_of(family),
                EncoderConfig(device="cpu", cache_dir=tmp_path, max_num_patches=patches),
            )
            for patches in (128, 256)
        )
        assert (few.fingerprint != many.fingerprint) == differs


def test_device_and_dtype_are_no_part_of_the_space(
    checkpoint_of: Callable[[str], Path], tmp_path: Path
) -> None:
    fingerprints = {
        _space(
            checkpoint_of("siglip2"), EncoderConfig(device="cpu", dtype=dtype, cache_dir=tmp_path)
        ).fingerprint
        for dtype in ("float32", "bfloat16", "auto")
    }
    assert len(fingerprints) == 1


def test_a_file_is_hashed_once_and_again_when_it_changes(tmp_path: Path) -> None:
    import hashlib
    import os

    store, file = tmp_path / "cache" / "digests.json", tmp_path / "weights"
    file.write_bytes(b"one")
    known = KnownDigests(store)
    first = known.sha256(file)
    assert first == hashlib.sha256(b"one").hexdigest()
    known.save()

    times = file.stat()
    file.write_bytes(b"two")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert KnownDigests(store).sha256(file) == first  # size, time and inode are as they were

    os.utime(file)
    assert KnownDigests(store).sha256(file) == hashlib.sha256(b"two").hexdigest()


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff\xfe", b"{"])
def test_a_damaged_digest_cache_only_costs_time(tmp_path: Path, content: bytes) -> None:
    import hashlib

    store, file = tmp_path / "digests.json", tmp_path / "weights"
    store.write_bytes(content)
    file.write_bytes(b"one")
    known = KnownDigests(store)
    assert known.sha256(file) == hashlib.sha256(b"one").hexdigest()
    known.save()
    assert list(json.loads(store.read_text()).values()) == [hashlib.sha256(b"one").hexdigest()]


def test_a_digest_cache_that_can_not_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "occupied").touch()
    file = tmp_path / "weights"
    file.write_bytes(b"one")
    known = KnownDigests(tmp_path / "occupied" / "digests.json")
    known.sha256(file)
    known.save()
    assert (tmp_path / "occupied").is_file()


def test_a_links_name_counts_only_in_the_hubs_cache(tmp_path: Path) -> None:
    import hashlib

    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "c0ffee"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    named = "a" * 64
    (blobs / named).write_bytes(b"one")
    (snapshot / "weights").symlink_to(f"../../blobs/{named}")
    (tmp_path / "weights").symlink_to(f"blobs/{named}")
    known = KnownDigests(tmp_path / "digests.json")
    assert known.sha256(snapshot / "weights") == named
    assert known.sha256(tmp_path / "weights") == hashlib.sha256(b"one").hexdigest()
