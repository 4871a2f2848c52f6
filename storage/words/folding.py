"""Texts made alike where people spell one word in several ways, for search by words."""

import re
import unicodedata

# Letters that Unicode does not take apart into a plain one and a mark.
_WHOLE_LETTERS = {
    **dict(zip("đðħıłøŧĸŋſə", "ddhilotknse", strict=True)),
    "þ": "th",
    "æ": "ae",
    "œ": "oe",
}

# Arabic is typed with or without the dots of its last letters, and Persian keyboards give their
# own yeh and kaf; tatweel only stretches a word.
_ARABIC_LETTERS = {"ى": "ي", "ی": "ي", "ک": "ك", "ة": "ه", "ہ": "ه", "ـ": None}

_LETTERS = str.maketrans({**_WHOLE_LETTERS, **_ARABIC_LETTERS})

# A mark that is left out where it stands on, or after, letters of these scripts: accents of Latin
# and Greek, points of Hebrew, vowel signs and hamzas of Arabic. Nobody is sure to type them. In
# Thai, Devanagari, kana and most others a mark is a vowel or another consonant, and stays.
_OPTIONAL_MARKS = re.compile(
    "(?<=[A-Za-z\u0080-\u036f\u0370-\u03ff\u0590-\u06ff\u0750-\u077f\u1d00-\u1fff])"
    "[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"
    "\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed]+"
)

# Russian writes stress marks only to teach, and ё mostly as е; but й, ї and ў are letters.
_CYRILLIC_MARKS = re.compile("(?<=[\u0430-\u04ff])[\u0300\u0301]+|(?<=е)\u0308")
_FORMAT_CHARS = re.compile("[\u00ad\u061c\u200b-\u200f\u2060-\u2064\ufe00-\ufe0f\ufeff]")


def fold(text: str) -> str:
    """The form in which two spellings of one word are equal: "Hà Nội" → "ha noi".

    Compatibility forms (full width, ligatures) and capitals become plain; accents go where a
    script has them on top of its letters; digits of every script become 0–9. A folded text folds
    to itself.
    """
    if text.isascii():
        return text.lower()
    text = unicodedata.normalize("NFKC", text).casefold()
    text = unicodedata.normalize("NFD", _FORMAT_CHARS.sub("", text))
    text = _CYRILLIC_MARKS.sub("", _OPTIONAL_MARKS.sub("", text)).translate(_LETTERS)
    text = unicodedata.normalize("NFKC", text).casefold()
    return "".join(map(_plain_digit, text))


def _plain_digit(char: str) -> str:
    return char if char < "\u0660" or not char.isdecimal() else str(unicodedata.decimal(char))


# Scripts written without spaces between words. Each of their characters counts as a word, and a
# word as a run of them.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u312f\u31a0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\ua9e0-\ua9ff\uaa60-\uaa7f\uf900-\ufaff\U00020000-\U0003ffff]"
)
_HANGUL = "\u1100-\u11ff\u3130-\u318f\uac00-\ud7ff"
_IS_HANGUL = re.compile(f"[{_HANGUL}]")
_HANGUL_WORD = re.compile(f"(?<![{_HANGUL}])(?=[{_HANGUL}])")
_WORD_START = "\x02"


class _Spacing(dict[int, str]):
    """For `str.translate`: what stands for each character once words are set apart by spaces."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        kind = unicodedata.category(char)
        if char == _WORD_START or kind == "So" or _UNSPACED.match(char) or _IS_HANGUL.match(char):
            spaced = f" {char} " if kind[0] in "LMNS" or char == _WORD_START else " "
        else:
            spaced = char if kind[0] in "LMN" else " "
        self[code] = spaced
        return spaced


_SPACING = _Spacing()


def spaced_words(text: str) -> str:
    """Folded words with one space between them: "Hà Nội, 2024" → "ha noi 2024".

    A search for a run of words is then a search for a substring with a space at either end, in
    every script: "cat" is not in "location", and 火箭 is in 新火箭 (新 火 箭). Korean words
    carry their particles behind them, so that only where they begin is marked.
    """
    folded = fold(text).replace(_WORD_START, " ")
    return " ".join(_HANGUL_WORD.sub(_WORD_START, folded).translate(_SPACING).split())
