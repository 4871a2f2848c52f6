"""What `python -m bench.report` makes of the benchmarks' JSON."""

from bench.report import tables


def test_records_are_rows() -> None:
    assert tables("sizes", [{"pictures": 10_000, "ms": 0.4321}, {"pictures": 5, "ms": 1234.5}]) == [
        "**sizes**",
        "",
        "| pictures | ms |",
        "| - | - |",
        "| 10,000 | 0.432 |",
        "| 5 | 1,234 |",
        "",
    ]


def test_groups_of_figures_are_columns_and_what_one_lacks_is_a_dash() -> None:
    lines = tables("pipeline", {"12 MP": {"plain": 2.0, "index": 10.0}, "500 px": {"plain": 4.0}})
    assert lines[2:] == [
        "|  | 12 MP | 500 px |",
        "| - | - | - |",
        "| plain | 2 | 4 |",
        "| index | 10 | – |",
        "",
    ]


def test_figures_by_kind_are_a_row_a_name_below_what_stands_alone() -> None:
    kinds = {"picture": {"ms": 1.5}, "text": {"ms": 2.5}}
    lines = tables("peers", {"cores": 2, "searching": {"ours": kinds, "rclip": kinds}})
    assert "| cores | 2 |" in lines
    table = lines[lines.index("**peers: searching**") :]
    assert table[2:6] == [
        "|  | picture ms | text ms |",
        "| - | - | - |",
        "| ours | 1.5 | 2.5 |",
        "| rclip | 1.5 | 2.5 |",
    ]
