import pickle
from functools import reduce

import pytest

from icp.config import UndeclaredKeyError, declared, parse_config

CONFIG = parse_config({"run": "r", "corpus": {"input": "x"}, "dedup": {"bands": 3, "rows": 2}})


def test_declared_keys_and_sections_are_read_as_they_are():
    config = declared(CONFIG, ("run", "dedup", "pack.seq_len"), step="dedup")
    assert (config.run, config.dedup, config.pack.seq_len) == ("r", CONFIG.dedup, 8192)


@pytest.mark.parametrize("key", ["seed", "pack.stride", "pack.method", "corpus.input", "order.improve"])
def test_any_other_key_raises_and_is_named(key):
    config = declared(CONFIG, ("run", "dedup", "pack.seq_len"), step="dedup")
    with pytest.raises(UndeclaredKeyError, match=rf"step dedup reads {key.split('.')[0]}"):
        reduce(getattr, key.split("."), config)


def test_what_is_computed_needs_what_it_is_computed_from():
    assert declared(CONFIG, ("dedup.bands", "dedup.rows"), step="dedup").dedup.num_perm == 6
    with pytest.raises(UndeclaredKeyError, match=r"dedup\.rows"):
        _ = declared(CONFIG, ("dedup.bands",), step="dedup").dedup.num_perm


def test_a_name_that_begins_alike_is_another_key():
    with pytest.raises(UndeclaredKeyError, match=r"pack\.shard_mib"):
        _ = declared(CONFIG, ("pack.sh", "pack.seq_len"), step="shards").pack.shard_mib


def test_workers_get_the_same_view():
    config = pickle.loads(pickle.dumps(declared(CONFIG, ("pack.seq_len",), step="windows")))
    assert config.pack.seq_len == 8192
    with pytest.raises(UndeclaredKeyError):
        _ = config.pack.method
