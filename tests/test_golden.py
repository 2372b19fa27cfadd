"""The tiny corpus gives these bytes on every machine; what changes them on purpose raises the step's format.

To accept a change: ``python tests/test_golden.py`` writes ``tests/golden/tiny.json`` anew; say in the commit why.
"""

import hashlib
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from tiny import data_files, make_run, tiny_config

GOLDEN = Path(__file__).parent / "golden" / "tiny.json"
# chosen by name: other methods have tests of their own, and defaults may change
SECTIONS = {
    "embed": {"model": "lexical"},
    "graph": {"method": "exact"},
    "order": {"method": "algorithm1"},
    "pack": {"seq_len": 64, "method": "path-cut", "shuffle": "random"},
}


def golden_hashes(run: Path) -> dict[str, str]:
    """Hashes of the arrays and shards of a run; Parquet files carry the version of their writer and are left out."""
    chosen = {name: data for name, data in data_files(run).items() if name.endswith((".npy", ".bin"))}
    return {name: hashlib.sha256(data).hexdigest() for name, data in chosen.items() if not name.startswith("tokens/")}


def test_tiny_corpus_gives_the_same_bytes_everywhere(tmp_path):
    found = golden_hashes(make_run(tiny_config(tmp_path, **SECTIONS)))
    assert found == json.loads(GOLDEN.read_text()), "changed on purpose? see the head of this file"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        hashes = golden_hashes(make_run(tiny_config(Path(folder), **SECTIONS)))
    GOLDEN.write_text(json.dumps(hashes, indent=1) + "\n")
