"""The report as one file: all that can be told of a run, put into the page.

In: a run. Out: ``report.html``. The page holds what documents say as JSON in which no ``<`` stands, and its policy lets
only its own script run.
"""

import base64
import hashlib
import json
import time
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

from icp import __version__
from icp.config import dump_config
from icp.config.addresses import without_secrets
from icp.errors import ConfigError, InputError
from icp.inspect.status import show_status
from icp.report import copies, headline
from icp.report.atlas import Atlas, make_atlas
from icp.report.concerns import WORDS, concerns
from icp.report.corpus import Corpus, load_corpus
from icp.report.opening import Partly, open_partly
from icp.report.pictures import BESIDE_MAP, pictures
from icp.report.sampling import Vectors
from icp.report.sources import tables_of
from icp.report.viewer import Viewer, bits_of, make_viewer
from icp.run.storage import address_of, run_folder

REPORT = "report.html"


def write_report(
    run: str | Path, out: Path | None = None, *, pack: str = "main", verdict: list[str] | None = None
) -> Path:
    """Write the report of a run, and return where.

    Args:
        run: the folder of a run, finished or not.
        out: the file; default: ``report.html`` in the folder where the command is run.
        pack: name of the pack.
        verdict: lines of `icp verify`, to be shown.

    Raises: ArtifactError if the folder is no run; InputError if the file cannot be written.
    Cost: what it reads is bounded by samples; of all documents it holds some 60 bytes each.
    """
    folder = run_folder(run)
    target = out if out is not None else Path(REPORT)
    if target.is_dir():
        raise ConfigError(f"--out {target}: is a folder; name a file, e.g. {target / REPORT}")
    text = page(open_partly(folder, pack=pack), verdict=verdict)
    try:
        target.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise InputError(f"--out {target}: cannot be written ({error.strerror}); name another file") from None
    return target


def page(partly: Partly, *, verdict: list[str] | None = None) -> str:
    """The report of a run as HTML."""
    import jinja2

    corpus = load_corpus(partly)
    vectors = Vectors(corpus, partly.run.config.seed) if corpus is not None else None
    viewer = None
    if corpus is not None and vectors is not None and partly.has("shards", "tokens", "graph", "embeddings"):
        viewer = partly.attempt("windows", lambda: make_viewer(corpus, vectors))
    parts = _parts(partly, corpus, vectors, viewer)
    folder = files("icp.report").joinpath("template")
    script, style = (folder.joinpath(f"report.{kind}").read_text(encoding="utf-8") for kind in ("js", "css"))
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    template = environment.from_string(folder.joinpath("report.html.j2").read_text(encoding="utf-8"))
    return template.render(
        **parts,
        style=style,
        script=script,
        script_hash=_hash_of(script),
        verdict=verdict,
        data=embedded(_data(viewer, parts["atlas"], parts["copies"])),
        words=WORDS,
        beside=BESIDE_MAP,
    )


def embedded(tree: Any) -> str:
    """JSON that can stand in a ``<script>``: without ``<``, ``>`` and ``&``, which would end it or begin a comment."""
    text = json.dumps(tree, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _parts(partly: Partly, corpus: Corpus | None, vectors: Vectors | None, viewer: Viewer | None) -> dict[str, Any]:
    """What the template shows, section by section."""
    run, seed = partly.run, partly.run.config.seed
    bits = partly.attempt("context bits", lambda: bits_of(viewer, seed)) if viewer is not None else None
    found: dict[str, Any] = {name: [] for name in ("groups", "hubs", "copies", "tables", "pictures")}
    found["atlas"] = None
    if corpus is not None and vectors is not None:
        found["tables"] = [asdict(table) for table in partly.attempt("sources", lambda: tables_of(corpus)) or ()]
        found["pictures"] = pictures(partly, corpus, vectors)
        if partly.has("dedup"):
            found["copies"] = partly.attempt("duplicates", lambda: copies.copies(corpus, seed)) or []
            found["groups"] = partly.attempt("groups of duplicates", lambda: copies.groups(corpus)) or []
        if partly.has("graph", "tokens"):
            found["hubs"] = partly.attempt("hubs", lambda: copies.hubs(corpus)) or []
        if partly.has("graph", "embeddings"):
            found["atlas"] = partly.attempt("map", lambda: make_atlas(corpus, vectors))
    address = without_secrets(str(address_of(run.folder)))
    return {
        **found,
        "run": address,
        "name": address.rstrip("/").rpartition("/")[2],
        "pack": run.pack,
        "version": __version__,
        "date": time.strftime("%Y-%m-%d"),
        "cards": partly.attempt("headline", lambda: headline.cards(partly, corpus)) or [],
        "facts": partly.attempt("figures", lambda: headline.tables(partly, bits)) or [],
        "costs": headline.costs(partly),
        "concerns": partly.attempt("warnings", lambda: concerns(partly, corpus, viewer)) or [],
        "n_windows": int(corpus.windows["n_docs"].size) if corpus is not None and corpus.windows else 0,
        "n_shown": len(viewer.windows) if viewer is not None else 0,
        "config": without_secrets(dump_config(run.config)),
        "versions": _versions(partly),
        "status": partly.attempt("state", lambda: [without_secrets(line) for line in show_status(run.folder)]) or [],
        "problems": [without_secrets(problem) for problem in dict.fromkeys(partly.problems)],
    }


def _data(viewer: Viewer | None, atlas: Atlas | None, pairs: list[dict[str, Any]]) -> dict[str, Any]:
    """What the script of the page needs."""
    return {
        "windows": viewer.windows if viewer is not None else [],
        "docs": viewer.docs if viewer is not None else {},
        "map": {"docs": atlas.docs, "windows": atlas.windows} if atlas is not None else {"docs": [], "windows": []},
        "copies": pairs,
    }


def _versions(partly: Partly) -> dict[str, str]:
    found: dict[str, str] = {"icp": __version__}
    for manifest in partly.run.manifests.values():
        found |= {str(name): str(version) for name, version in manifest.versions.items()}
    return found


def _hash_of(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
