"""Failures on single texts: what is one, what is said of it, which texts are to blame, and how many end a run.

Libraries in Rust panic, and a panic is no Exception: it would end the process that does a part, again and again.
"""

from collections.abc import Callable

from icp.errors import IcpError

TOLERATED = 10
"""So many failed documents are let pass whatever their share, if another one is left."""


def too_many(n_failed: int, n_docs: int, most: float, *, is_none_left: bool) -> bool:
    """Whether more documents failed than a run may lose.

    Args:
        n_failed: of the documents.
        n_docs: all of them.
        most: the share that may fail, `corpus.max_rejected`.
        is_none_left: whether no document is left: then `TOLERATED` excuses nothing.
    """
    return n_failed > most * n_docs and (n_failed > TOLERATED or is_none_left)


def pass_on(error: BaseException) -> None:
    """Raise what is no failure of a library: an interruption, a lack of memory, an error of ours."""
    if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit | MemoryError | IcpError):
        raise error


def first_line(error: BaseException) -> str:
    """What went wrong, in one line."""
    line = (str(error).strip().splitlines() or [""])[0][:200]
    return f"{type(error).__name__}: {line}" if line else type(error).__name__


def failing(work: Callable[[int, int], object], n_rows: int) -> dict[int, str]:
    """The rows on which some work fails, found by halving, each with the reason.

    Args:
        work: does rows `first` to `last`, the latter excluded; what it gives is not looked at.
        n_rows: how many there are.

    Cost: about 2 log2(n) pieces of work for each of them.
    """
    found: dict[int, str] = {}
    waiting = [(0, n_rows)] if n_rows else []
    while waiting:
        first, last = waiting.pop()
        try:
            work(first, last)
        except BaseException as error:  # noqa: BLE001 - panics are no Exceptions
            pass_on(error)
            if last - first == 1:
                found[first] = first_line(error)
            else:
                middle = (first + last) // 2
                waiting += [(middle, last), (first, middle)]
    return found
