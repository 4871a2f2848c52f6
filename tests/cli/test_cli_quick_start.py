import gc
import weakref

import pytest

from cli.quick_start import nothing_collected


class Ring:
    """Garbage that only the collector finds."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def unfrozen():
    yield
    gc.unfreeze()


def collect_by_itself() -> None:
    """As the collector is set off: by many new objects that stay."""
    kept = [[] for _ in range(100 * gc.get_threshold()[0])]
    del kept


def test_nothing_is_collected_within_and_garbage_made_later_is() -> None:
    with nothing_collected():
        within = weakref.ref(Ring())
        collect_by_itself()
        assert within() is not None
    later = weakref.ref(Ring())
    collect_by_itself()
    assert later() is None


def test_what_was_loaded_is_not_gone_through_again() -> None:
    before = len(gc.get_objects())
    with nothing_collected():
        pass
    assert gc.get_freeze_count() >= before
    assert len(gc.get_objects()) < before / 2


def test_the_collector_is_at_work_again_when_loading_fails() -> None:
    with pytest.raises(OSError, match="no such model"), nothing_collected():
        raise OSError("no such model")
    assert gc.isenabled()
