"""What the README shows is what happens: its commands with their output, and its Python calls, one fed to the next."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import icp
from icp.warm import tiny_rows

NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
"""Of figures that are shown, a processor may change the last digits: 2% are let pass."""
README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")


def shown():
    """The commands of the README's first block, each with the lines shown below it."""
    block = re.search(r"```console\n(.*?)```", README, re.S).group(1)
    parts = [part.split("\n", 1) for part in block.split("$ ")[1:]]
    return [(command.partition("#")[0].split(), output.splitlines()) for command, output in parts]


@pytest.mark.slow
def test_the_commands_of_the_readme_print_what_it_shows(tmp_path):
    done = []
    for command, lines in shown():
        if command[0] != "icp":
            continue
        ran = subprocess.run(
            [sys.executable, "-m", "icp.cli", *command[1:]], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr
        printed = ran.stdout.splitlines()
        if "..." in lines:
            lines = lines[: lines.index("...")]
        for line, wanted in zip(printed, lines, strict=False):
            assert NUMBER.sub("N", line) == NUMBER.sub("N", wanted)
            for number, stated in zip(NUMBER.findall(line), NUMBER.findall(wanted), strict=True):
                difference = abs(float(number.replace(",", "")) - float(stated.replace(",", "")))
                assert difference <= max(1.0 * ("." not in stated), 0.02 * float(stated.replace(",", ""))), line
        assert len(printed) >= len(lines)
        done.append(command[1])
    assert done == ["run", "verify", "report"]
    assert (tmp_path / "report.html").stat().st_size < 10e6


def test_the_calls_of_the_readme_pass_their_results_on():
    names = set(re.findall(r"icp\.(\w+)\(", re.search(r"## Python\n(.*?)\n## ", README, re.S).group(1)))
    texts = [row["text"] for row in tiny_rows()]
    icp.shingle_hashes(texts[0])
    icp.minhash_signatures(texts)
    icp.find_duplicates(texts, threshold=0.8)
    embeddings = icp.embed_documents(texts)
    graph = icp.symmetrize(icp.search_neighbors(embeddings, k=10))
    order = icp.visit_order(graph, embeddings)
    lengths = np.array([len(text) for text in texts])
    plan = icp.plan_windows(graph, embeddings, order, lengths, seq_len=8192)
    assert int((plan.stop - plan.start).sum()) == int(lengths.sum())
    called = {"shingle_hashes", "minhash_signatures", "find_duplicates", "embed_documents", "search_neighbors"}
    called |= {"symmetrize", "visit_order", "plan_windows"}
    assert names - called <= {"WindowDataset", "make_run"}  # tests of their own: dataset, cli/test_starting.py
