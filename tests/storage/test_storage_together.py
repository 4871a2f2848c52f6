import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from storage.together import Together


class Held:
    """Doubles numbers when it is let, and notes how many at once."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.began, self.let_go = threading.Semaphore(0), threading.Semaphore(0)

    def double(self, numbers: Sequence[int]) -> list[int]:
        self.sizes.append(len(numbers))
        self.began.release()
        assert self.let_go.acquire(timeout=20)
        if 13 in numbers:
            raise ValueError("13")
        return [2 * number for number in numbers]


def ask_while_held(held: Held, together: Together[int, int], others: int) -> list[int]:
    with ThreadPoolExecutor(others + 1) as pool:
        first = pool.submit(together.ask, 0)
        assert held.began.acquire(timeout=20)
        rest = [pool.submit(together.ask, number) for number in range(1, others + 1)]
        while together.waiting < others:
            threading.Event().wait(0.001)
        held.let_go.release(others + 1)
        return [each.result(20) for each in (first, *rest)]


@pytest.mark.parametrize(
    ("others", "sizes"), [(0, [1]), (2, [1, 1, 1]), (3, [1, 3]), (9, [1, 5, 4])]
)
def test_as_many_are_done_together_as_are_taken(others: int, sizes: list[int]) -> None:
    held = Held()
    together = Together(held.double, lambda waiting: 1 if waiting < 3 else min(waiting, 5))
    assert ask_while_held(held, together, others) == [2 * number for number in range(others + 1)]
    assert held.sizes == sizes


def test_who_is_done_goes_on_while_the_next_turn_runs() -> None:
    held = Held()
    together = Together(held.double, lambda waiting: waiting)

    def wait_for(count: int) -> None:
        while together.waiting < count:
            threading.Event().wait(0.001)

    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(together.ask, 1)
        assert held.began.acquire(timeout=20)
        second = [pool.submit(together.ask, number) for number in (2, 3)]
        wait_for(2)
        held.let_go.release()
        assert held.began.acquire(timeout=20)
        assert first.result(20) == 2
        third = pool.submit(together.ask, 4)
        wait_for(1)
        held.let_go.release()
        assert held.began.acquire(timeout=20)
        assert [each.result(20) for each in second] == [4, 6]
        assert not third.done()
        held.let_go.release()
        assert third.result(20) == 8
    assert held.sizes == [1, 2, 1]


def test_as_many_go_on_at_the_same_time_as_there_are_turns() -> None:
    held = Held()
    together = Together(held.double, lambda waiting: waiting, turns=3)
    with ThreadPoolExecutor(5) as pool:
        asked = []
        for number in range(3):
            asked.append(pool.submit(together.ask, number))
            assert held.began.acquire(timeout=20)
        asked += [pool.submit(together.ask, number) for number in (3, 4)]
        while together.waiting < 2:
            threading.Event().wait(0.001)
        held.let_go.release(5)
        assert [each.result(20) for each in asked] == [0, 2, 4, 6, 8]
    # Two turns become free, for two who wait: together, or one each.
    assert held.sizes in ([1, 1, 1, 2], [1, 1, 1, 1, 1])


def test_a_failure_is_that_of_those_it_was_done_together_with_and_of_nobody_else() -> None:
    held = Held()
    together = Together(held.double, lambda waiting: min(waiting, 2))
    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(together.ask, 1)
        assert held.began.acquire(timeout=20)
        others = []
        for number in (13, 2, 3):
            others.append(pool.submit(together.ask, number))
            while together.waiting < len(others):
                threading.Event().wait(0.001)
        held.let_go.release(3)
        assert first.result(20) == 2
        for each in others[:2]:
            with pytest.raises(ValueError, match="13"):
                each.result(20)
        assert others[2].result(20) == 6


@pytest.mark.parametrize("turns", [1, 2, 5])
def test_of_very_many_who_ask_at_once_each_is_given_its_own(turns: int) -> None:
    together = Together(
        lambda numbers: [2 * number for number in numbers],
        lambda waiting: 1 if waiting < 3 else min(waiting, 7),
        turns,
    )
    with ThreadPoolExecutor(24) as pool:
        assert list(pool.map(together.ask, range(1000))) == list(range(0, 2000, 2))
    assert together.waiting == 0


def test_who_gives_too_few_fails_those_who_asked_and_nobody_waits_for_ever() -> None:
    together: Together[int, int] = Together(lambda _: [], lambda waiting: waiting)
    for _ in range(2):
        with pytest.raises(ValueError, match="shorter"):
            together.ask(1)
