from pathlib import Path

import numpy as np


def test_an_encoder_that_has_drifted_since_the_library_was_made_is_refused(
    polyglance, pictures: Path, tmp_path: Path
) -> None:
    assert polyglance("index", pictures, "--model", "starter").status == 0
    assert polyglance("search", "red").status == 0
    [golden] = [
        path
        for path in (tmp_path / "library" / "golden").glob("*.npz")
        if "background" not in path.name
    ]
    with np.load(golden, allow_pickle=False) as stored:
        recorded = dict(stored)
    [texts] = [key for key in recorded if "text" in key]
    recorded[texts] = np.roll(recorded[texts], 1, axis=0)
    np.savez(golden, **recorded)
    for command in (("search", "red"), ("serve", "--port", "0"), ("index", pictures)):
        ran = polyglance(*command)
        assert ran.status == 1
        assert "The text tower of starter no longer gives the embeddings recorded" in ran.err
        assert "Traceback" not in ran.err


def test_a_picture_is_classified_in_any_language(polyglance, tmp_path: Path) -> None:
    assert polyglance("demo", "--once").status == 0
    cat = tmp_path / "library" / "demo" / "pictures" / "chelsea.png"
    polyglance("index", cat, "--model", "starter")
    ran = polyglance("classify", cat, "--labels", "xe máy,mèo,火箭,chair")
    assert ran.status == 0, ran.err
    assert ran.out.splitlines()[0].endswith("mèo")
    assert len(ran.out.splitlines()) == 4
    assert polyglance("classify", cat, "--labels", " , ").status == 2
    ran = polyglance("classify", tmp_path / "none.png", "--labels", "a")
    assert (ran.status, "none.png: No such file" in ran.err) == (1, True)
