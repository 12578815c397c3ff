"""Whose turn it is: a user's first unfinished job goes before anybody's second.

Each work pool has a queue per turn. Prefect serves queues by priority, and the later ones together
may hold no more than seven eighths of a pool: somebody's first job finds a place while another's
tenth runs.
"""

from typing import Final

TURNS: Final = 4
# Of the pool's slots. The last queue takes all further jobs of a user, in the order they came.
_SHARES: Final = (None, 1 / 4, 1 / 8, 1 / 2)


def queue_of(unfinished: int) -> str:
    """The queue of a user's next job when `unfinished` of theirs wait or run."""
    return f"turn-{min(unfinished + 1, TURNS)}"


def queues(slots: int) -> list[tuple[str, int | None]]:
    """Each queue with the runs it may hold at once, the first served first; None is no limit."""
    return [
        (queue_of(turn), None if share is None else max(1, int(slots * share)))
        for turn, share in enumerate(_SHARES)
    ]
