import pytest

from encoders.starter.dictionary import Dictionary

LEXICON = {
    "en": {"dog": ["dog", "border collie"], "beach": ["beach"], "hot dog": ["hot dog"]},
    "vi": {"dog": ["con chó"], "coffee": ["cà phê"]},
    "sv": {"duck": ["and"]},
    "zh": {"dog": ["狗"], "beach": ["沙滩"]},
    "ar": {"dog": ["كلب"], "shark": ["القرش الأبيض"]},
}
NAMES = sorted(name for names in LEXICON.values() for known in names.values() for name in known)


@pytest.fixture(scope="module")
def dictionary() -> Dictionary:
    return Dictionary(LEXICON, {name: row for row, name in enumerate(NAMES)})


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("DOG", "dog"),
        ("Border-Collie", "border collie"),
        ("bordercollie", "border collie"),
        ("ca phe", "cà phê"),
        ("الكلب", "كلب"),
        ("قرش أبيض", "القرش الأبيض"),
        ("狗。", "狗"),
    ],
)
def test_a_name_is_known_however_it_is_spelt(dictionary, query, name):
    assert [NAMES[row] for row in dictionary.whole(query)] == [name]


@pytest.mark.parametrize("query", ["", "???", "doggy", "a dog on the beach"])
def test_what_is_no_name_is_not_known(dictionary, query):
    assert dictionary.whole(query) == []


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("a dog on the beach", ["dog", "beach"]),
        ("one dog, two dog!", ["dog"]),
        ("a hot dog", ["hot dog"]),
        ("沙滩上的狗", ["沙滩", "狗"]),
        ("hai con chó", ["con chó"]),
        ("ly ca phe", ["cà phê"]),
    ],
)
def test_names_are_found_in_a_longer_query(dictionary, query, names):
    assert [[NAMES[row] for row in rows] for rows in dictionary.parts(query)] == [
        [name] for name in names
    ]


@pytest.mark.parametrize("query", ["", "happiness", "sooner or later and happily ever after"])
def test_a_chance_likeness_is_not_taken_for_a_name(dictionary, query):
    assert dictionary.parts(query) == []
