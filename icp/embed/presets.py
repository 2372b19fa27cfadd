"""Presets of sentence-transformers models: short names, and the prefix that each model expects before a text."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Preset:
    """A model by its short name.

    Attributes:
        source: its name on the Hugging Face hub. prefix: what its makers put before a text; on both sides the same,
            since documents are compared with documents.
    """

    source: str
    prefix: str = ""


PRESETS = {
    "contriever-msmarco": Preset("facebook/contriever-msmarco"),  # arXiv 2310.10638; set embed.max_tokens to 512
    "e5-small": Preset("intfloat/e5-small-v2", "query: "),
    "e5-base": Preset("intfloat/e5-base-v2", "query: "),
    "multilingual-e5-small": Preset("intfloat/multilingual-e5-small", "query: "),
    "multilingual-e5-base": Preset("intfloat/multilingual-e5-base", "query: "),
}
_E5 = re.compile(r"(^|[/_-])e5-(small|base|large)(-v2)?$")


def preset_of(model: str) -> Preset:
    """The preset of this short name; otherwise the model itself, with the E5 prefix if it belongs to that family.

    A model's folder goes by its last name, so a copy of an E5 model on disk gets its prefix too.
    """
    return PRESETS.get(model) or Preset(model, "query: " if _E5.search(model.rstrip("/")) else "")
