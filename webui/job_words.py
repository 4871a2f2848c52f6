"""Why a job ended as it did, in the reader's language.

The catalog keeps a sentence in English. What the indexer and the storage say on purpose is known
by its words; the page shows the sentence itself beneath, with its particulars.
"""

import re

from flask import Flask
from flask_babel import format_decimal, gettext, ngettext

NOT_EMBEDDED = re.compile(r"([\d,]+) pictures could not be embedded")


def job_reason(error: str) -> str:
    missing = NOT_EMBEDDED.fullmatch(error)
    if missing:
        number = int(missing[1].replace(",", ""))
        return str(
            ngettext(
                "%(shown)s picture could not be embedded",
                "%(shown)s pictures could not be embedded",
                number,
                shown=format_decimal(number),
            )
        )
    if error.startswith("The process ended without a word."):
        return str(
            gettext(
                "It ended without a word. What it had stored is kept: index the same sources "
                "again to go on."
            )
        )
    if "its disk is full" in error:
        return str(
            gettext(
                "The library's disk is full. Make room on it and start again: what was stored so "
                "far is kept."
            )
        )
    if re.match(r"The library in .* can't be written", error, re.DOTALL):
        return str(
            gettext(
                "The library can't be written: look at its disk and its rights, and start again. "
                "What was stored so far is kept."
            )
        )
    return str(gettext("An error ended it. What was stored so far is kept."))


def add_job_words(app: Flask) -> None:
    app.jinja_env.filters["job_reason"] = job_reason
