"""What a format is: which rows it can hold, what its loader does to them, and how it is written and explained.

Every module of this package is a format, found by its file: it defines ``FORMAT``, whose name is that of the module.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from icp.export.source import Pack
from icp.export.target import Target

Order = Literal["full", "within_file", "no"]


@dataclass(frozen=True, slots=True)
class Guide:
    """What a user of an export has to know; each a few sentences or lines of code.

    Attributes:
        load: code or flags that load it with windows whole.
        language: of `load`: python | bash.
        whole: what would cut, join or drop windows.
        order: what happens to training order.
        labels: which labels a window loses, and which cross its edge.
        padding: what the trainer does with padding.
        masks: flags that keep documents apart: which work, which are ignored.
        resume: the line that goes on where training stopped.
    """

    load: str
    language: str
    whole: str
    order: str
    labels: str
    padding: str
    masks: str
    resume: str


@dataclass(frozen=True, slots=True)
class Format:
    """A format that shards can be exported to.

    Attributes:
        name: on the command line.
        trainer: who reads it.
        tested: the loader, with its version, that the tests read it with.
        strides: values of ``pack.stride`` whose rows its loader takes whole.
        order_kept: what is left of training order behind the loader, with the settings of the guide.
        knows_padding: False if the trainer trains on padding whatever its id.
        masks_padding: whether the trainer gives padding no loss, with the settings of the guide.
        labels: labels of a window that are lost, and that belong to another window.
        write: fills the folder.
        guide: what the README says.
    """

    name: str
    trainer: str
    tested: str
    strides: tuple[str, ...]
    order_kept: Callable[[Pack], Order]
    masks_padding: Callable[[Pack], bool]
    labels: Callable[[Pack], tuple[int, int]]
    write: Callable[[Pack, Target], None]
    guide: Callable[[Pack], Guide]
    knows_padding: bool = True
