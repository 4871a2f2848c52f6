"""Benchmarks: `make bench` runs them small, `make bench FULL=1` at every size.

Each is one command, `python -m bench.NAME`, which needs nothing but its options and
- says in its docstring what is measured, and against what limit or plain way **in the same run**;
- has `main()` with argparse, whose defaults end within some minutes on two cores;
- prints one table, in Markdown, and with `--json PATH` writes the same figures there;
- asserts that what was timed was right (how many were embedded, recall), and never a time.

`bench/__main__.py` lists them with the options of both sizes and keeps the JSON as
`build/bench/NAME.json`; `bench.plot` draws the README's figures from these files, `bench.report`
prints them as tables. `retrieval`, `relevance`, `negation` (how good the answers are) and
`page_paint` (a running server's pages) need things of their own, and are run by hand.
"""
