"""What an export refuses, says, links and leaves, whatever the format."""

import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from loader_packs import SEQ_LEN, config_for, end_of_rows, pieces_of, rows_of
from tiny import quiet

from icp.choices import GRAPH_EXPORTS
from icp.cli import main
from icp.engine.executor import SerialExecutor
from icp.errors import ArtifactError, BrokenPromise, ConfigError
from icp.export import FORMATS, check_exports, export_all, export_pack, source
from icp.export.source import open_pack
from icp.pipeline import pack

SHARDS = "packs/main/shards"
LINKED = {"megatron": "main", "olmo": "main", "datatrove": "longer"}


@pytest.fixture
def run(packed, tmp_path):
    """A copy of the run, to be damaged."""
    return shutil.copytree(packed, tmp_path / "run")


def edit_manifest(run, change, folder=SHARDS):
    path = run / folder / "manifest.json"
    tree = json.loads(path.read_text())
    change(tree)
    path.write_text(json.dumps(tree))


def test_an_error_without_a_file_is_one_of_writing_the_export(packed, tmp_path, monkeypatch):
    def fails(pack, target):
        raise OSError("error closing file")  # as Arrow says it when the disk is full

    monkeypatch.setitem(FORMATS, "parquet", replace(FORMATS["parquet"], write=fails))
    done = CliRunner().invoke(main, ["export", str(packed), "--format", "parquet", "--out", str(tmp_path / "out")])
    assert done.exit_code == 4
    assert done.output.startswith(f"icp: {tmp_path / 'out'}: error closing file; mend that, then run the same command")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("fmt", LINKED)
def test_token_files_are_hard_links(packed, exported, fmt):
    made = exported(fmt, LINKED[fmt], allow_padding=True)
    shards = sorted((packed / f"packs/{LINKED[fmt]}/shards").glob("shard-*.bin"))
    names = {"megatron": "{}.bin", "olmo": "{}.npy", "datatrove": "{}.ds"}
    for shard in shards:
        assert (made.folder / names[fmt].format(shard.stem)).samefile(shard)
    assert (made.facts["files_linked"], made.facts["files_copied"]) == (len(shards), 0)
    assert any("hard links" in line for line in made.lines())


def test_files_are_copied_where_they_cannot_be_linked(packed, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    made = export_pack(packed, "megatron", tmp_path / "out")
    assert made.facts["files_copied"] == len(list((packed / SHARDS).glob("shard-*.bin")))
    assert "copies" in made.lines()[0]
    copied = np.concatenate([np.fromfile(path, "<u2") for path in sorted((tmp_path / "out").glob("*.bin"))])
    assert np.array_equal(copied.reshape(-1, SEQ_LEN), rows_of(packed))


@pytest.mark.parametrize("fmt", FORMATS)
def test_summary_and_readme_stand_beside_the_files(packed, exported, fmt):
    made = exported(fmt, "longer" if fmt == "datatrove" else "main", allow_padding=True)
    facts = json.loads((made.folder / "export.json").read_text())
    assert facts.pop("seal")
    assert facts == made.facts
    listed = {path.name for path in made.folder.iterdir()} - {"export.json", "README.md"}
    assert listed == set(facts["files"])
    assert facts["windows"] == len(rows_of(packed, facts["pack"]))
    text = (made.folder / "README.md").read_text()
    assert f"`order_kept: {facts['order_kept']}`" in text
    assert "{" not in text.replace("{'skip_prepare_dataset': True}", "")
    for section in ("Load", "Order", "Labels", "Padding", "Documents apart", "Resume"):
        assert f"## {section}\n" in text


def test_pieces_are_those_of_the_segments(packed):
    opened = open_pack(packed, "main")
    windows, expected = iter(pieces_of(packed)), end_of_rows(packed)
    ends = []
    for shard in opened.shards:
        pieces = opened.pieces(shard)
        ends += pieces.row_end.tolist()
        for row in range(shard.n_rows):
            here = slice(pieces.first[row], pieces.first[row + 1])
            lengths, docs = next(windows)
            assert (pieces.stop[here] - pieces.begin[here]).tolist() == lengths
            assert pieces.doc[here].tolist() == docs
    assert ends == expected.tolist()


@pytest.mark.parametrize(
    ("fmt", "name"), [("megatron", "longer"), ("olmo", "longer"), ("parquet", "longer"), ("mds", "longer")]
)
def test_rows_of_another_stride_are_refused(packed, tmp_path, fmt, name):
    with pytest.raises(ConfigError, match=rf"{fmt}: pack.stride is seq_len\+1, .* every window would drift"):
        export_pack(packed, fmt, tmp_path / "out", pack=name)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_not_empty_is_refused(packed, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"--out .*: is not empty \(mine.txt\); give a new or an empty folder"):
        export_pack(packed, "megatron", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_unknown_format_is_refused(packed, tmp_path):
    known = sorted((*FORMATS, *GRAPH_EXPORTS))
    with pytest.raises(ConfigError, match=f"--format hdf5: no such format; use one of {', '.join(known)}$"):
        export_pack(packed, "hdf5", tmp_path / "out")


@pytest.mark.parametrize(
    "damaged", [f"{SHARDS}/shard-00001.bin", "packs/main/plan/doc.npy", "packs/main/order/order.npy"]
)
def test_a_pack_with_a_changed_file_is_refused(run, tmp_path, damaged):
    data = bytearray((run / damaged).read_bytes())
    data[-1] ^= 1
    (run / damaged).write_bytes(data)
    with pytest.raises(BrokenPromise, match=r"its hash is not the one in the manifest; `icp verify` tells more"):
        export_pack(run, "megatron", tmp_path / "out")


def test_a_missing_shard_and_a_missing_pack_are_named(run, tmp_path):
    with pytest.raises(ArtifactError, match="packs/other: step order is not finished, or there is no such pack"):
        export_pack(run, "megatron", tmp_path / "out", pack="other")
    (run / SHARDS / "shard-00001.bin").unlink()
    with pytest.raises(ArtifactError, match=r"shard-00001.bin: No such file"):
        export_pack(run, "megatron", tmp_path / "out")


def test_shards_of_another_plan_are_refused(run, tmp_path):
    edit_manifest(run, lambda tree: tree["basis"]["inputs"].update(windows="0" * 64))
    with pytest.raises(BrokenPromise, match="was not made of windows"):
        export_pack(run, "megatron", tmp_path / "out")


def state(**facts):
    """A change of a manifest: it states these facts, in both places."""

    def change(tree):
        tree.update(facts)
        tree["facts"].update(facts)

    return change


@pytest.fixture
def believed(monkeypatch):
    """Manifests are believed, so that a pack can be passed off as one of other settings."""
    monkeypatch.setattr(source, "_check_facts", lambda run, name: None)


@pytest.mark.parametrize("facts", [{"dtype": "uint32"}, {"pad_id": 5}, {"seed": 5}, {"shuffle": "none"}])
def test_facts_that_the_pack_was_not_made_with_are_refused(run, tmp_path, facts):
    edit_manifest(run, state(**facts))
    with pytest.raises(BrokenPromise, match=rf"shards/manifest.json: says {next(iter(facts))} is .*, expected"):
        export_pack(run, "parquet", tmp_path / "out")
    edit_manifest(run, lambda tree: tree["facts"].update(dict.fromkeys(facts, "other")))
    with pytest.raises(ArtifactError, match=rf"shards/manifest.json: .*{next(iter(facts))} is"):
        export_pack(run, "parquet", tmp_path / "out")


@pytest.mark.usefixtures("believed")
def test_a_vocabulary_forced_into_uint16_is_refused(run, tmp_path):
    edit_manifest(run, state(vocab_size=70_000))
    with pytest.raises(BrokenPromise, match="uint16 cannot hold a vocabulary of 70,000 ids"):
        export_pack(run, "megatron", tmp_path / "out")


@pytest.mark.usefixtures("believed")
def test_padding_that_is_not_the_trainers_own_is_refused(run, tmp_path):
    for fmt in ("megatron", "mds", "litdata"):
        edit_manifest(run, state(pad_id=5))
        with pytest.raises(ConfigError, match=rf"{fmt}: \d+ tokens of padding \(0\.\d\d%, id 5\) would be trained on"):
            export_pack(run, fmt, tmp_path / "out")
    assert export_pack(run, "olmo", tmp_path / "olmo").facts["padding_masked"]
    assert export_pack(run, "parquet", tmp_path / "parquet").facts["padding_masked"]


@pytest.mark.usefixtures("believed")
def test_padding_that_the_tokenizer_names_is_known_to_trainers(run, tmp_path):
    (tokens,) = (run / "tokens").iterdir()
    (tokens / "tokenizer_config.json").write_text(json.dumps({"pad_token": "<|begin_of_text|>"}))
    edit_manifest(run, state(pad_id=1))
    assert export_pack(run, "megatron", tmp_path / "a").facts["padding_masked"]
    assert export_pack(run, "mds", tmp_path / "b").facts["padding_masked"]


@pytest.mark.usefixtures("believed")
@pytest.mark.parametrize("fmt", FORMATS)
def test_lanes_are_refused_where_the_loader_reshuffles(run, tmp_path, fmt):
    name = "longer" if fmt == "datatrove" else "main"
    edit_manifest(run, state(shuffle="lanes:4"), f"packs/{name}/shards")
    options = {"pack": name, "allow_padding": True}
    if fmt in ("parquet", "mds"):
        assert export_pack(run, fmt, tmp_path / "out", **options).facts["order_kept"] == "full"
        return
    with pytest.raises(ConfigError, match=rf"{fmt}: pack.shuffle is lanes:4: row b .*\(order_kept: (no|within_file)\)"):
        export_pack(run, fmt, tmp_path / "out", **options)
    assert export_pack(run, fmt, tmp_path / "out", allow_reshuffle=True, **options).facts["windows"]


def test_a_scheduled_mix_is_an_order_that_matters(run, tmp_path):
    opened = open_pack(run, "main")
    assert opened.order_matters is None
    opened.manifests["windows"].basis["config"]["pack.mix_random.from"] = 1.0
    assert opened.order_matters == "pack.mix_random is a schedule along training order"


def test_an_interrupted_export_leaves_nothing_and_goes_again(packed, tmp_path, monkeypatch):
    from icp.export.formats import megatron

    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(megatron, "_index", fail)
    with pytest.raises(KeyboardInterrupt):
        export_pack(packed, "megatron", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    monkeypatch.undo()
    assert export_pack(packed, "megatron", tmp_path / "out").facts["windows"]


def test_an_export_that_would_train_on_padding_is_refused_before_the_run(tmp_path):
    for fmt, options in (("litdata", {}), ("datatrove", {"stride": "seq_len+1"})):
        with pytest.raises(ConfigError, match=r"export: .* would train on the padding .* set pack\.tail: repeat"):
            check_exports(config_for(tmp_path, **options).model_copy(update={"export": parse([fmt])}))
        filled = config_for(tmp_path, tail="repeat", **options).model_copy(update={"export": parse([fmt])})
        check_exports(filled)


def test_the_configuration_names_formats_that_pack_writes(packed, tmp_path):
    config = config_for(packed.parent)
    wanted = config.model_copy(update={"export": parse(["megatron", {"format": "litdata", "allow_padding": True}])})
    done = export_all(wanted, pack="main")
    folder = packed / "packs/main/exports"
    assert [made.folder for made in done] == [folder / "megatron", folder / "litdata"]
    assert export_all(wanted, pack="main") == []
    (folder / "megatron/export.json").unlink()
    assert [made.facts["format"] for made in export_all(wanted, pack="main")] == ["megatron"]
    pack(wanted, SerialExecutor(), quiet)
    with pytest.raises(ConfigError, match=r"datatrove: pack\.stride is seq_len"):
        check_exports(config.model_copy(update={"export": parse(["datatrove"])}))
    shutil.rmtree(folder)


def parse(listed):
    from icp.config import parse_config

    return parse_config({"run": "r", "corpus": {"input": "x"}, "export": listed}).export


def test_export_names_and_options_are_checked():
    assert [item.format for item in parse("megatron")] == ["megatron"]
    with pytest.raises(ConfigError, match="export is 'hdf5', not possible here"):
        parse(["hdf5"])
    with pytest.raises(ConfigError, match=r"unknown key export\.0\.speed"):
        parse([{"format": "mds", "speed": 1}])


def test_command_prints_where_it_went(packed, tmp_path):
    arguments = ["export", str(packed), "--format", "megatron", "--out", str(tmp_path / "out"), "--verify"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert "7 holds" in done.output
    assert f"windows of {SEQ_LEN} tokens, order_kept: no" in done.output
    again = CliRunner().invoke(main, arguments[:-1])
    assert again.exit_code == 2
    assert "is not empty" in again.output
