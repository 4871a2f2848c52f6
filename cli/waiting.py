"""How torch's threads wait for one another."""

from collections.abc import MutableMapping

SPINS = "5000"
"""Some tens of microseconds. A team of threads waits at the end of every operator, and as GNU's
OpenMP has it, busily for milliseconds: where another process wants a core, the one that is waited
for does not get it meanwhile. The slowest queries beside a process that computes then take 1.6
times as long, and two servers hold each other up for seconds; waiting briefly costs a query alone
nothing."""


def wait_briefly(environment: MutableMapping[str, str]) -> None:
    """For a process that has not loaded torch yet. Whoever has chosen otherwise has it so."""
    if "OMP_WAIT_POLICY" not in environment:
        environment.setdefault("GOMP_SPINCOUNT", SPINS)
