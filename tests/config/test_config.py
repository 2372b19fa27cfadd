import pytest
import yaml

from icp.config import Config, dump_config, load_config, parse_config
from icp.errors import ConfigError, InputError

SMALLEST = {"run": "r", "corpus": {"input": ["a.jsonl"]}}


def changed(section, **values):
    return {**SMALLEST, section: {**SMALLEST.get(section, {}), **values}}


def test_smallest_configuration_has_the_documented_defaults():
    config = parse_config(SMALLEST)
    assert (config.seed, config.corpus.text, config.corpus.min_chars) == (0, "text", 1)
    assert (config.dedup.num_perm, config.dedup.threshold, config.dedup.verify) == (120, 0.8, "exact")
    assert (config.graph.k, config.pack.seq_len, config.pack.row_tokens) == (10, 8192, 8192)
    assert (config.embed.model, config.order.method, config.pack.method) == ("hybrid", "matching", "windows")


def test_dumped_configuration_reads_back_equal(tmp_path):
    config = parse_config(changed("corpus", keep=["url"], exclude="ids.txt", part_mib=1.5))
    (tmp_path / "c.yaml").write_text(dump_config(config))
    assert load_config(tmp_path / "c.yaml") == config


def test_one_input_may_stand_without_brackets():
    assert parse_config({"run": "r", "corpus": {"input": "a.jsonl"}}).corpus.input == ("a.jsonl",)


def test_overrides_are_yaml_and_win(tmp_path):
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(SMALLEST))
    config = load_config(tmp_path / "c.yaml", ["pack.seq_len=64", "corpus.input=[b.jsonl, c.jsonl]", "run=elsewhere"])
    assert (config.pack.seq_len, config.corpus.input, config.run) == (64, ("b.jsonl", "c.jsonl"), "elsewhere")


def test_stride_of_one_more_token_widens_the_row():
    assert parse_config(changed("pack", seq_len=16, stride="seq_len+1")).pack.row_tokens == 17


def test_bundled_presets_are_valid_and_found_by_name():
    from importlib.resources import files

    names = [entry.name for entry in files("icp.configs").iterdir() if entry.name.endswith(".yaml")]
    assert "quickstart.yaml" in names
    for name in names:
        assert isinstance(load_config(name.removesuffix(".yaml")), Config)


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({**SMALLEST, "pakc": {}}, "unknown key pakc; did you mean pack?"),
        (changed("corpus", inptu=1), "unknown key corpus.inptu; did you mean corpus.input?"),
        (changed("pack", seqlen=1), "unknown key pack.seqlen; did you mean pack.seq_len?"),
        (changed("pack", seq_len=1), "pack.seq_len is 1, must be at least 2; set it to your model's context length"),
        (changed("pack", seq_len="8k"), "pack.seq_len is '8k'"),
        (changed("pack", method="tree"), "pack.method is 'tree'"),
        (
            changed("pack", split="never", method="path-cut"),
            "split is never, which pack.method path-cut cannot do; use windows, path-fit or best-fit",
        ),
        (
            changed("pack", group_by=["lang"]),
            "tiny.yaml: pack.group_by names 'lang', which the documents of a run do not",
        ),
        (changed("pack", group_by=["source"], method="knn"), "pack.method knn is a baseline that knows no groups"),
        (changed("pack", shuffle="jump"), "pack.shuffle is 'jump', not possible here"),
        (changed("order", method="lkh"), "use one of matching, algorithm1, random, source"),
        (changed("pack", mix_random=1.5), "pack.mix_random is 1.5, not possible here"),
        (changed("pack", mix_random={"from": 1}), "pack.mix_random.to is missing"),
        (changed("pack", shuffle="lanes:0"), "pack.shuffle is 'lanes:0', not possible here"),
        (changed("dedup", threshold=1.5), "dedup.threshold is 1.5"),
        (changed("dedup", keep="shortest"), "dedup.keep is 'shortest'"),
        (changed("corpus", input=[]), "corpus.input"),
        ({"run": "r"}, "corpus is missing and has no default"),
        ({"corpus": {"input": "a"}}, "run is missing and has no default"),
        ({**SMALLEST, "seed": -1}, "seed is -1"),
    ],
)
def test_what_is_wrong_is_named(tree, message):
    with pytest.raises(ConfigError) as caught:
        parse_config(tree, where="tiny.yaml")
    assert str(caught.value).startswith("tiny.yaml: ")
    assert message in str(caught.value)


@pytest.mark.parametrize("override", ["pack.seq_len", "=3", "run.deeper=1", "pack.seq_len=[1"])
def test_malformed_overrides_are_refused(tmp_path, override):
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(SMALLEST))
    with pytest.raises(ConfigError, match="--set"):
        load_config(tmp_path / "c.yaml", [override])


def test_unreadable_and_malformed_files_are_named(tmp_path):
    with pytest.raises(InputError, match=r"none.yaml: cannot read"):
        load_config(tmp_path / "none.yaml")
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(ConfigError, match="holds no mapping"):
        load_config(tmp_path / "list.yaml")
    (tmp_path / "bad.yaml").write_text("run: [\n")
    with pytest.raises(ConfigError, match=r"bad.yaml: line 2: not valid YAML"):
        load_config(tmp_path / "bad.yaml")


def test_values_of_a_section_are_flat_and_sorted():
    values = parse_config(SMALLEST).values(("order", "seed"))
    assert list(values) == ["order.improve", "order.method", "order.partitions", "order.recompute_degree", "seed"]
    with pytest.raises(AssertionError):
        parse_config(SMALLEST).values(("nothing",))


def test_a_wrong_override_is_named_not_the_file(tmp_path):
    (tmp_path / "c.yaml").write_text(yaml.safe_dump({**SMALLEST, "dedup": {"threshold": 3}}))
    with pytest.raises(ConfigError) as raised:
        load_config(tmp_path / "c.yaml", ["pack.seq_len=1", "pakc.method=x"])
    lines = str(raised.value).splitlines()
    assert any(line.startswith("--set pack.seq_len=1: pack.seq_len is 1") for line in lines)
    assert any(line.startswith("--set pakc.method=x: unknown key pakc") for line in lines)
    assert any(line.startswith(f"{tmp_path}/c.yaml: dedup.threshold is 3") for line in lines)


def test_values_that_do_not_go_together_name_the_file_and_the_override(tmp_path):
    (tmp_path / "c.yaml").write_text("run: r\ncorpus: {input: [a.jsonl]}\npack: {method: random}\n")
    with pytest.raises(ConfigError, match=r"c\.yaml with --set pack\.split=never: pack\.split is never"):
        load_config(tmp_path / "c.yaml", ["pack.split=never", "seed=3"])


def test_a_preset_that_is_not_there_lists_those_that_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"quickstrat: .*did you mean quickstart\?.*presets .*paper.*quickstart"):
        load_config("quickstrat")


@pytest.mark.parametrize("value", [".nan", ".inf", "-.inf"])
def test_numbers_that_are_none_are_refused(tmp_path, value):
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(SMALLEST))
    with pytest.raises(ConfigError, match=r"graph\.min_similarity is -?(nan|inf)"):
        load_config(tmp_path / "c.yaml", [f"graph.min_similarity={value}"])


def test_home_and_variables_are_filled_in(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setenv("PLACE", "/data")
    assert parse_config({**SMALLEST, "run": "~/x"}).run == "/home/somebody/x"
    assert parse_config({**SMALLEST, "run": "$PLACE/x-${PLACE}"}).run == "/data/x-/data"
    assert parse_config({**SMALLEST, "run": "s3://b/$PLACE"}).run == "s3://b/$PLACE"
    monkeypatch.setenv("ODD", "a$b~")
    assert parse_config({**SMALLEST, "run": "$ODD/x"}).run == "a$b~/x"


@pytest.mark.parametrize(
    "tree",
    [
        {**SMALLEST, "run": "$NOWHERE/x"},
        {**SMALLEST, "run": "a/${NOWHERE}"},
        changed("corpus", input=["$NOWHERE/*.jsonl"]),
        changed("corpus", exclude="$NOWHERE/ids"),
        changed("tokenizer", name="$NOWHERE/tokenizer.json"),
        changed("embed", model="files:$NOWHERE/*.npy"),
        changed("embed", model="hybrid:$NOWHERE/model"),
    ],
)
def test_a_variable_that_is_not_set_is_refused_everywhere(tree, monkeypatch):
    monkeypatch.delenv("NOWHERE", raising=False)
    with pytest.raises(ConfigError, match=r"names the variable \$\{?NOWHERE\}?, which is not set"):
        parse_config(tree)
