"""The README that stands beside exported files."""

from collections.abc import Mapping
from typing import Any

from icp.export.formats import Format
from icp.export.source import Pack
from icp.run.names import EXPORT_SUMMARY

_TEXT = """# {windows:,} windows of {seq_len:,} tokens for {trainer}

Pack `{pack}` of run `{run}`, made by icp {icp}: rows of {stride:,} tokens ({dtype}, vocabulary of {vocab_size:,}),
related documents side by side in each. Read back in tests with {tested_with}. `{summary}` holds these facts for
programs.

## Load

```{language}
{load}
```
{placeholder}
{whole}

## Order

`order_kept: {order_kept}`. {order}

## Labels

{labels_lost_per_window} lost and {labels_crossing_per_window} crossing an edge, per window. {labels}

## Padding

{padding_tokens:,} of {all_tokens:,} tokens. {padding}

## Documents apart

{masks} Pieces that end inside a window without an end token: {pieces_without_eos:,}.

## Resume

{resume}

## Files

{sharing}
"""


def readme(chosen: Format, pack: Pack, facts: Mapping[str, Any]) -> str:
    """The text of ``README.md``."""
    guide = chosen.guide(pack)
    linked = (
        "Token files are hard links to the run's shards: they take no room of their own, so never edit them in place."
        if facts["files_linked"]
        else "The files are copies: the run is no longer needed."
    )
    return _TEXT.format(
        **{name: value for name, value in facts.items() if name != "padding"},
        **{name: getattr(guide, name) for name in type(guide).__slots__ if name != "padding"},
        padding=guide.padding if facts["padding"] else "There is none.",
        summary=EXPORT_SUMMARY,
        padding_tokens=facts["padding"],
        all_tokens=pack.n_windows * pack.stride,
        placeholder="\n`FOLDER` is this folder.\n" if "FOLDER" in guide.load else "",
        sharing=linked,
    )
