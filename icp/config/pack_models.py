"""The sections of a configuration that say how windows are made and written: ``pack`` and ``export``."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator, model_serializer, model_validator

from icp.choices import EXPORT_FORMATS, PACK_METHODS, PackMethod
from icp.config.section import Section
from icp.plurals import either

if TYPE_CHECKING:
    PackMethodName = str
    ExportFormatName = str
else:  # a type checker knows no literals that are computed
    PackMethodName = Literal[tuple(PACK_METHODS)]
    ExportFormatName = Literal[EXPORT_FORMATS]


class MixConfig(Section):
    """The share of windows packed at random: a number, or a ramp ``{from, to, over}`` along training order."""

    begin: float = Field(ge=0, le=1, alias="from")
    end: float = Field(ge=0, le=1, alias="to")
    over: float = Field(1.0, gt=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _constant(cls, value: Any) -> Any:
        return {"from": value, "to": value} if isinstance(value, int | float) else value

    @model_serializer
    def _as_written(self) -> float | dict[str, float]:
        return self.begin if self.begin == self.end else {"from": self.begin, "to": self.end, "over": self.over}


class SourceConfig(Section):
    """How often the documents of a source are read: 0.5 is half of them, chosen by a hash of their ids."""

    epochs: float = Field(ge=0)


class PackConfig(Section):
    """How windows are made of documents and written."""

    seq_len: int = Field(8192)
    stride: Literal["seq_len", "seq_len+1"] = "seq_len"
    method: PackMethodName = "windows"
    min_fill: float = Field(0.995, gt=0, le=1)
    least_fill: float = Field(0.0, ge=0, le=1)
    split: Literal["minimal", "free", "never"] = "minimal"
    min_piece: int | None = Field(None, ge=1)
    continuation: Literal["cut", "restart", "pad"] = "cut"
    tail: Literal["pad", "drop", "repeat"] = "pad"
    epochs: int = Field(1, ge=1, le=1000)
    sources: dict[str, SourceConfig] = Field(default_factory=dict)
    group_by: tuple[str, ...] = ()
    documents: Literal["all", "new"] = "all"
    inside: Literal["path", "reverse", "random"] = "path"
    mix_random: MixConfig = Field(0.0, validate_default=True)
    shuffle: Literal["spread", "random", "none"] | Annotated[str, Field(pattern=r"^lanes:[1-9][0-9]*$")] = "spread"
    shard_mib: float = Field(256, gt=0)

    @field_validator("seq_len")
    @classmethod
    def _at_least_two(cls, value: int) -> int:
        if value < 2:
            raise ValueError(f"is {value}, must be at least 2; set it to your model's context length, e.g. 8192")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> "PackConfig":
        chosen, most_piece = PACK_METHODS[self.method], max(1, self.seq_len // 4)
        if self.min_piece is not None and self.min_piece > most_piece:
            raise ValueError(f"min_piece is {self.min_piece}, must be up to a quarter of pack.seq_len, {most_piece}")
        if self.split == "never" and not chosen.knows_split:
            fitting = either(name for name, method in PACK_METHODS.items() if method.knows_split)
            raise ValueError(f"split is never, which pack.method {self.method} cannot do; use {fitting}")
        _check_floor(self.least_fill, self.min_fill, chosen)
        _check_continuation(self.continuation, self.tail, chosen)
        _check_tail(self.tail, chosen)
        _check_passes(self, chosen)
        if self.group_by and chosen.repeats:
            raise ValueError(
                f"group_by is set, but pack.method {self.method} is a baseline that knows no groups; leave it empty"
            )
        if (self.mix_random.begin or self.mix_random.end) and (chosen.repeats or self.shuffle.startswith("lanes")):
            repeating = " or ".join(name for name, method in PACK_METHODS.items() if method.repeats)
            raise ValueError(
                f"mix_random is set, which pack.method {self.method} with pack.shuffle {self.shuffle} cannot do: "
                f"random windows would break the lanes, and {repeating} is a baseline of its own; leave it at 0"
            )
        return self

    @property
    def has_passes(self) -> bool:
        """Whether documents stand in another number of windows than once each."""
        return self.epochs > 1 or bool(self.sources)

    @property
    def lists_tail(self) -> bool:
        """Whether a plan lists tokens that come once more, or not at all."""
        return self.tail != "pad" or self.continuation == "restart"

    @property
    def row_tokens(self) -> int:
        """Tokens of one row: the stride as a number."""
        return self.seq_len + (self.stride == "seq_len+1")


def _check_floor(least_fill: float, min_fill: float, chosen: PackMethod) -> None:
    if least_fill and not chosen.knows_split:
        fitting = either(name for name, method in PACK_METHODS.items() if method.knows_split)
        why = "fills all windows but the last" if chosen.fills else "leaves windows as they are"
        raise ValueError(
            f"least_fill is set, but pack.method {chosen.name} {why}; leave it at 0, or use pack.method {fitting}"
        )
    if least_fill > min_fill:
        raise ValueError(
            f"least_fill is {least_fill:g}, the floor of each window, above min_fill {min_fill:g}, the mean of all; "
            "raise pack.min_fill, or lower pack.least_fill"
        )


def _check_continuation(continuation: str, tail: str, chosen: PackMethod) -> None:
    if continuation == "cut":
        return
    if not chosen.fills:
        filling = either(name for name, method in PACK_METHODS.items() if method.fills)
        instead = f"leave it at cut, or use pack.method {filling}"
        if chosen.cuts:
            instead = "use pack.split: never, which cuts no document that fits a window" + (
                ", with pack.tail: repeat, which fills the room with the beginnings of related documents"
                if continuation == "restart"
                else ""
            )
        raise ValueError(
            f"continuation is {continuation}, but pack.method {chosen.name} does not cut documents wherever a window "
            f"ends; {instead}"
        )
    if tail == "drop":
        raise ValueError(
            f"continuation is {continuation} and tail is drop, which would leave out all windows with room; use "
            "pack.tail: pad or repeat"
        )


def _check_tail(tail: str, chosen: PackMethod) -> None:
    if tail == "drop" and not chosen.fills:
        filling = either(name for name, method in PACK_METHODS.items() if method.fills)
        raise ValueError(
            f"tail is drop, but pack.method {chosen.name} leaves a few tokens of room in many windows, which would "
            f"all be left out; use tail: repeat, which fills that room, or pack.method {filling}"
        )
    if tail == "repeat" and chosen.repeats:
        raise ValueError(f"tail is repeat, but pack.method {chosen.name} repeats documents itself; leave it at pad")


def _check_passes(pack: PackConfig, chosen: PackMethod) -> None:
    if pack.epochs > 1:
        if not chosen.varies:
            fitting = either(name for name, method in PACK_METHODS.items() if method.varies)
            why = "repeats documents itself" if chosen.repeats else "would make the same windows in each pass"
            raise ValueError(
                f"epochs is {pack.epochs}, but pack.method {chosen.name} {why}; leave it at 1, or use pack.method "
                f"{fitting}"
            )
        wrong = {
            "mix_random is set, a schedule along one pass; leave it at 0": pack.mix_random.begin or pack.mix_random.end,
            f"shuffle is {pack.shuffle}, whose lanes would end with each; use spread, random or none": (
                pack.shuffle.startswith("lanes")
            ),
            "tail is drop, which leaves out other tokens of each; use pad or repeat": pack.tail == "drop",
        }
        for text, is_wrong in wrong.items():
            if is_wrong:
                raise ValueError(f"epochs is {pack.epochs} passes, and {text}")
    if pack.sources and chosen.repeats:
        raise ValueError(f"sources is set, but pack.method {chosen.name} repeats documents itself; leave it empty")
    for name, source in pack.sources.items():
        if source.epochs > pack.epochs:
            raise ValueError(
                f"sources.{name}.epochs is {source.epochs:g}, more than the passes of pack.epochs, {pack.epochs}; "
                "raise pack.epochs, or lower it"
            )


class ExportConfig(Section):
    """A format that `icp pack` writes itself; a bare name stands for its defaults."""

    format: ExportFormatName
    allow_reshuffle: bool = False
    allow_padding: bool = False
