import json
from pathlib import Path


def test_search_says_how_it_read_the_query_and_folds_and_sorts(polyglance, pictures: Path) -> None:
    assert polyglance("index", pictures, "--model", "starter").status == 0
    read = polyglance("search", "a red thing without people")
    assert read.status == 0, read.err
    assert "a red thing, without people" in read.err
    assert "--literal" in read.err
    answer = json.loads(polyglance("search", "con mèo không đeo kính", "--json").out)
    assert (answer["negations"], answer["searched_text"]) == (["kính"], "con mèo")
    assert answer["language"] == "vi"
    literal = polyglance("search", "con mèo không đeo kính", "--literal", "--json")
    assert json.loads(literal.out)["negations"] == []
    quoted = json.loads(polyglance("search", '"white cloud"', "--sort", "date", "--json").out)
    assert [hit["path"] for hit in quoted["hits"]] == ["sky/white cloud.png"]
    assert quoted["hits"][0]["matched"] == ["name"]
    none = polyglance("search", '"nowhere"', "--diversify")
    assert (none.status, none.out) == (0, "")
    assert "Nothing in the library matches." in none.err
