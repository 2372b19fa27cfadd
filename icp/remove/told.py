"""How documents are to be removed, and what a removal took, as lines for people."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from icp.plurals import counted


@dataclass(frozen=True, slots=True)
class Asked:
    """How documents are removed.

    Attributes:
        how: what becomes of the windows, see `icp.pack.without`.
        reason: kept with each tombstone.
        keep_old: keep the shards as they were beside the new ones.
    """

    how: str = "replan"
    reason: str = "removed"
    keep_old: bool = False


@dataclass(frozen=True, slots=True)
class PackChange:
    """What becomes of a pack: windows before and after, those that held removed documents, tokens that go, and the ids
    of documents of which something is lost though they were not to go."""

    name: str
    n_before: int
    n_after: int
    n_held: int
    n_tokens: int
    lost: list[str]


@dataclass(slots=True)
class Removal:
    """What was removed, or would be."""

    named: int = 0
    copies: int = 0
    held: int = 0
    refused: int = 0
    unknown: list[str] = field(default_factory=list)
    packs: list[PackChange] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """What a person wants to read."""
        yield (
            f"documents   {counted(self.named, 'document')} of the list, {self.copies:,} copies of them"
            f"{f', {self.held:,} held out' if self.held else ''}"
            + (f", {counted(self.refused, 'row')} refused before" if self.refused else "")
        )
        if self.unknown:
            some = ", ".join(self.unknown[:3]) + (", ..." if len(self.unknown) > 3 else "")
            yield f"not found   {len(self.unknown):,} of the list: {some}"
        for pack in self.packs:
            yield (
                f"pack        {pack.name}: {pack.n_held:,} of {pack.n_before:,} windows held them, {pack.n_tokens:,} "
                f"tokens; {pack.n_after:,} windows afterwards"
            )
            if pack.lost:
                yield f"{'':<11} lost with their windows: {counted(len(pack.lost), 'other document')}"
                yield from (f"{'':<11}   {name}" for name in pack.lost)
        yield from self.told
