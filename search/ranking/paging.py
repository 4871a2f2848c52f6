"""One page of an order: what is strictly behind the cursor."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from search.ranking.cursor import Cursor
from search.ranking.plan import Plan
from storage.index.snapshot import Nearest


@dataclass(frozen=True)
class Page:
    near: Nearest
    more: bool
    """Whether there are pictures behind the page."""
    cursor: Cursor | None
    """At the page's end; None for an empty page."""

    def next_cursor(
        self,
        plan: Plan,
        least: float,
        relevance_of: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    ) -> str | None:
        """None where nothing of at least that relevance is behind the page."""
        if not self.more or self.cursor is None:
            return None
        # By date, and in the lead, relevance goes up and down, and what has too little was left
        # out before; elsewhere it only falls.
        if plan.dates is None and self.cursor.led == len(plan.lead.lead):
            score = self.cursor.score
            if plan.lead.base is not None and self.cursor.image_id in plan.lead.lead:
                score = plan.lead.base[0]
            if relevance_of(np.array([score], dtype=np.float32))[0] < least:
                return None
        return self.cursor.encode()


def page_of(plan: Plan, after: Cursor | None, limit: int) -> Page:
    given = after.given if after else 0
    wanted = given + limit + 1
    while True:
        found = plan.order.first(wanted)
        rest = found if after is None else _behind(plan, found, after)
        if len(rest.image_ids) > limit or len(found.image_ids) < wanted:
            break
        wanted *= 2  # pictures have come in above the cursor since: look deeper
    near = Nearest(rest.image_ids[:limit], rest.scores[:limit], rest.exact)
    if not len(near.image_ids):
        return Page(near, False, None)
    score, image_id = float(near.scores[-1]), int(near.image_ids[-1])
    cursor = Cursor(
        score,
        image_id,
        given + len(near.image_ids),
        lead=plan.lead.lead,
        led=_led(plan, near, after),
        base=plan.lead.base,
        judges=plan.ranking.judges,
        newest=plan.newest,
    )
    if plan.dates is not None:
        cursor = replace(cursor, lead=(), led=0, base=None, date=plan.dates.date_of(image_id))
    return Page(near, len(rest.image_ids) > limit, cursor)


def _behind(plan: Plan, found: Nearest, after: Cursor) -> Nearest:
    keep = plan.order.is_behind(found, after)
    return Nearest(found.image_ids[keep], found.scores[keep], found.exact)


def _led(plan: Plan, near: Nearest, after: Cursor | None) -> int:
    before = after.led if after else 0
    if not plan.lead.lead or before == len(plan.lead.lead):
        return len(plan.lead.lead)
    return plan.lead.led_by(int(near.image_ids[-1]))
