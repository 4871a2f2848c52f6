import numpy as np

from storage.index.chosen_rows import ChosenRows


def test_rows_are_the_same_as_a_mask_and_as_bits() -> None:
    rows = np.array([9, 0, 4, 5, 17])
    chosen = ChosenRows(rows, 19)
    assert len(chosen) == 5
    assert np.flatnonzero(chosen.mask).tolist() == sorted(rows.tolist())
    assert len(chosen.mask) == 19
    bits = np.unpackbits(chosen.bits, bitorder="little")
    assert np.flatnonzero(bits).tolist() == sorted(rows.tolist())


def test_of_each_part_it_is_known_how_many_and_how_scattered_they_are() -> None:
    chosen = ChosenRows(np.array([0, 1, 2, 4, 6, 7, 12, 13, 14, 15]), 20)
    assert chosen.within((0, 8, 16, 20)) == ((6, 2), (4, 0), (0, 0))
    assert chosen.within((0, 20)) == ((10, 4),)
    assert chosen.within((0, 8, 16, 20)) == ((6, 2), (4, 0), (0, 0))
