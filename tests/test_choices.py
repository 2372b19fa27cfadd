"""Every choice is listed once: what `icp.choices` says is what the configuration, the library and the help know."""

import inspect
from importlib import import_module
from pathlib import Path
from typing import get_args

import click
import pytest

import icp.export
from icp import cli
from icp.choices import EMBEDDERS, EXPORT_FORMATS, KNN_METHODS, PACK_METHODS, TRANSFORMER
from icp.config.models import ExportConfig, GraphConfig, PackConfig
from icp.embed import check_model, embedder_of, is_of_corpus, rest_of
from icp.errors import ConfigError
from icp.export import FORMATS
from icp.knn.groupings import Grouping, grouping_of


def code_of(package, path):
    module, _, name = path.rpartition(".")
    return getattr(import_module(f"icp.{package}.{module}"), name)


def literals(section, name):
    return get_args(section.model_fields[name].annotation)


def test_the_configuration_takes_its_names_from_the_tables():
    assert literals(PackConfig, "method") == tuple(PACK_METHODS)
    assert literals(GraphConfig, "method") == ("auto", *KNN_METHODS)
    assert literals(ExportConfig, "format") == EXPORT_FORMATS


def test_names_are_those_of_the_entries():
    for table in (PACK_METHODS, KNN_METHODS, EMBEDDERS):
        assert [entry.name for entry in table.values()] == list(table)
        assert all(entry.summary.endswith(".") for entry in table.values())


@pytest.mark.parametrize("method", PACK_METHODS.values(), ids=PACK_METHODS)
def test_every_pack_method_has_code_that_takes_a_request(method):
    assert list(inspect.signature(code_of("pack", method.code)).parameters) == ["request"]


@pytest.mark.parametrize("kind", [kind for kind in EMBEDDERS.values() if kind.code], ids=lambda kind: kind.name)
def test_every_embedder_of_the_corpus_has_code(kind):
    made = code_of("embed", kind.code)
    assert list(inspect.signature(made).parameters) == ["seed", "settings"]
    if not kind.has_transformer:
        assert made(3, None).counts_words == kind.counts_words
        assert getattr(made(3, None), "seed", None) == (3 if kind.is_seeded else 0)


def test_formats_are_the_modules_of_their_folder():
    folder = Path(icp.export.__file__).parent / "formats"
    assert {path.stem for path in folder.glob("[!_]*.py")} == set(EXPORT_FORMATS) == set(FORMATS)
    assert {name: chosen.name for name, chosen in FORMATS.items()} == {name: name for name in FORMATS}
    assert {"megatron", "olmo", "datatrove", "parquet", "mds", "litdata"} <= set(EXPORT_FORMATS)


def test_help_names_every_format():
    (option,) = [option for option in cli.main.commands["export"].params if option.name == "fmt"]
    assert isinstance(option, click.Option)
    assert all(name in option.help for name in EXPORT_FORMATS)


@pytest.mark.parametrize(
    ("model", "kind", "rest"),
    [
        ("hybrid", EMBEDDERS["hybrid"], "hybrid"),
        ("hybrid:minilm", EMBEDDERS["hybrid:"], "minilm"),
        ("hybrid:org/name:2", EMBEDDERS["hybrid:"], "org/name:2"),
        ("lexical", EMBEDDERS["lexical"], "lexical"),
        ("files:a/*.npy", EMBEDDERS["files:"], "a/*.npy"),
        ("minilm", TRANSFORMER, "minilm"),
        ("lexical:2", TRANSFORMER, "lexical:2"),
        ("hybrids", TRANSFORMER, "hybrids"),
    ],
)
def test_kinds_of_models(model, kind, rest):
    assert (embedder_of(model), rest_of(model)) == (kind, rest)
    assert is_of_corpus(model) == bool(kind.code)


@pytest.mark.parametrize("model", ["hybrid:", "hybrid:lexical", "hybrid:hybrid:minilm", "hybrid:files:a", "files:"])
def test_names_that_stand_for_no_model_are_refused(model):
    with pytest.raises(ConfigError, match=r"^embed.model is .*; after"):
        check_model(model)


def test_every_knn_method_but_exact_has_a_grouping():
    assert [name for name, method in KNN_METHODS.items() if not method.code] == ["exact", "faiss"]
    for name in KNN_METHODS.keys() - {"exact", "faiss"}:
        assert isinstance(grouping_of(name), Grouping)
