"""Our tokens are those of the checkpoint's own tokenizer, padded as the model was trained."""

import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from encoders.siglip.model import max_tokens_of
from encoders.siglip.text import TextInput, text_input

FAMILIES = ["siglip2", "naflex", "siglip1", "clip", "chinese_clip", "altclip", "metaclip2"]

TEXTS = {
    "plain": "a cat on the table",
    "mixed case": "A Cat ON the TABLE",
    "vietnamese": "con mèo trên bàn",
    "chinese": "桌子上的猫",
    "right to left": "القط على الطاولة",
    "hindi": "बिल्ली मेज पर",
    "turkish": "İSTANBUL'da KEDİ",
    "emoji": "👩‍👩‍👧‍👦 🐈 in the snow 🇻🇳",
    "punctuation": 'a cat, "on" the table! (really?)',
    "only punctuation": "?!",
    "control": "a\x00cat\u200bon\ufeffa table",
    "500 words": "table dog " * 250,
    "one long word": "x" * 3000,
    "exactly full": " ".join(["a"] * 63),
    "empty": "",
}


def _input_for(folder: Path) -> TextInput:
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder)
    return text_input(folder, config.model_type, max_tokens_of(config))


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("family", ["siglip2", "naflex"])
def test_siglip2_tokens_are_those_of_its_lower_casing_tokenizer(
    checkpoint_of: Callable[[str], Path], family: str, text: str
) -> None:
    from transformers import Siglip2Tokenizer

    reference = Siglip2Tokenizer.from_pretrained(checkpoint_of(family))

    ours = _input_for(checkpoint_of(family)).arrays([text])

    prepared = " ".join(unicodedata.normalize("NFC", text).split())
    expected = reference([prepared], padding="max_length", max_length=64, truncation=True)
    assert ours["input_ids"].tolist() == expected["input_ids"]
    assert set(ours) == {"input_ids"}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_siglip1_tokens_are_those_of_its_own_tokenizer(
    checkpoint_of: Callable[[str], Path], text: str
) -> None:
    pytest.importorskip("google.protobuf", reason="transformers' SiglipTokenizer asks for it")
    from transformers import AutoTokenizer

    reference = AutoTokenizer.from_pretrained(checkpoint_of("siglip1"))

    ours = _input_for(checkpoint_of("siglip1")).arrays([text])

    expected = reference([text], padding="max_length", max_length=64, truncation=True)
    assert ours["input_ids"].tolist() == expected["input_ids"]


def test_siglip1_drops_punctuation_and_siglip2_keeps_it(
    checkpoint_of: Callable[[str], Path],
) -> None:
    for family, same in [("siglip1", True), ("siglip2", False)]:
        ids = _input_for(checkpoint_of(family)).arrays(["a cat!", "a cat"])["input_ids"]
        assert (ids[0] == ids[1]).all() == same


@pytest.mark.parametrize("family", ["siglip2", "naflex", "siglip1"])
def test_a_long_text_is_cut_to_64_tokens_and_keeps_its_end_mark(
    checkpoint_of: Callable[[str], Path], family: str
) -> None:
    ids = _input_for(checkpoint_of(family)).arrays(["a cat " * 200])["input_ids"]
    assert ids.shape == (1, 64)
    assert ids[0, -1] == 1
    assert 1 not in ids[0, :-1]


@pytest.mark.parametrize("family", ["siglip2", "siglip1"])
def test_every_text_is_padded_to_64_tokens(
    checkpoint_of: Callable[[str], Path], family: str
) -> None:
    padding = {"siglip2": 0, "siglip1": 1}[family]
    ids = _input_for(checkpoint_of(family)).arrays(["", "cat"])["input_ids"]
    assert ids.shape == (2, 64)
    assert ids[0].tolist() == [1] + [padding] * 63


@pytest.mark.parametrize(
    "family", ["siglip2", "naflex", "siglip1", "clip", "chinese_clip", "metaclip2"]
)
def test_unicode_form_and_white_space_make_no_difference(
    checkpoint_of: Callable[[str], Path], family: str
) -> None:
    same = ["con mèo trên bàn", unicodedata.normalize("NFD", "  con\tmèo \n trên  bàn\u3000")]
    ids = _input_for(checkpoint_of(family)).arrays(same)["input_ids"]
    assert (ids[0] == ids[1]).all()


@pytest.mark.parametrize("family", ["siglip2", "naflex", "siglip1"])
@pytest.mark.parametrize("text", ["con mèo trên bàn", "красный дом у моря", "οδός γάτας"])
def test_capitals_make_no_difference(
    checkpoint_of: Callable[[str], Path], family: str, text: str
) -> None:
    ids = _input_for(checkpoint_of(family)).arrays([text, text.upper()])["input_ids"]
    assert (ids[0] == ids[1]).all()


def test_the_hubs_own_tokenizer_class_would_not_lower_case(
    checkpoint_of: Callable[[str], Path],
) -> None:
    """Why the tokens are made here: should this fail, transformers has come to lower-case."""
    from transformers import AutoTokenizer

    hub = AutoTokenizer.from_pretrained(checkpoint_of("siglip2"))
    assert hub("CAT")["input_ids"] != hub("cat")["input_ids"]


@pytest.mark.parametrize("family", ["clip", "chinese_clip", "metaclip2"])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_clip_tokens_are_those_of_the_checkpoints_own_tokenizer(
    checkpoint_of: Callable[[str], Path], family: str, text: str
) -> None:
    from transformers import AutoTokenizer

    reference = AutoTokenizer.from_pretrained(checkpoint_of(family))

    ours = _input_for(checkpoint_of(family)).arrays([text])

    prepared = " ".join(unicodedata.normalize("NFC", text).split())
    expected = reference([prepared], truncation=True)
    assert ours["input_ids"].tolist() == expected["input_ids"]
    assert ours["attention_mask"].tolist() == expected["attention_mask"]


@pytest.mark.parametrize("family", ["siglip2", "siglip1", "clip", "chinese_clip", "altclip"])
def test_many_threads_may_tokenize_at_once(
    checkpoint_of: Callable[[str], Path], family: str
) -> None:
    ours = _input_for(checkpoint_of(family))
    long, short = "cat dog " * 60, "cat"
    lengths = (ours.count_tokens(long), ours.arrays([long, short])["input_ids"].shape)

    def both(_: int) -> tuple[int, tuple[int, ...]]:
        return ours.count_tokens(long), ours.arrays([long, short])["input_ids"].shape

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(both, range(1500))) == {lengths}


@pytest.mark.parametrize("family", FAMILIES)
def test_half_a_surrogate_pair_is_left_out(
    checkpoint_of: Callable[[str], Path], family: str
) -> None:
    ids = _input_for(checkpoint_of(family)).arrays(["a \ud83d cat", "a cat"])["input_ids"]
    assert (ids[0] == ids[1]).all()


def test_the_longest_text_of_an_altclip_fits_its_positions(
    checkpoint_of: Callable[[str], Path],
) -> None:
    """Which begin after the padding's number, so that two of them are never used."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(checkpoint_of("altclip"))
    config.text_config.max_position_embeddings = 40
    ours = text_input(checkpoint_of("altclip"), config.model_type, max_tokens_of(config))
    assert ours.max_tokens == 38
    assert ours.arrays(["cat dog " * 60])["input_ids"].shape == (1, 38)
