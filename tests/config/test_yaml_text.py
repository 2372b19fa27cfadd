import time

import pytest

from icp.config.yaml_text import read_yaml
from icp.errors import ConfigError

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{this}: &{this} [{', '.join([f'*{before}'] * 10)}]\n" for before, this in zip("abcdefgh", "bcdefghi", strict=True)
)


def test_plain_values_lists_and_anchors_are_read():
    text = "run: r\ncorpus: &c {input: [a, b], part_mib: 1.5}\nagain: *c\nnothing:\n"
    corpus = {"input": ["a", "b"], "part_mib": 1.5}
    assert read_yaml(text, "c") == {"run": "r", "corpus": corpus, "again": corpus, "nothing": None}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pack: {a: 1}\nrun: r\npack: {b: 2}", r"line 3: .*the key pack stands here and in line 1; merge the two"),
        ("pack:\n  a: 1\n  a: 1", r"line 3: .*the key a stands here and in line 2"),
        ("seed: 2023-99-99", r"line 1: .*'2023-99-99' is no timestamp"),
        ("seed: !!int abc", r"'abc' is no int"),
        ("seed: !!bool abc", r"'abc' is no bool"),
        ("seed: !!timestamp abc", r"'abc' is no timestamp"),
        ("seed: !!python/object/apply:os.system [x]", r"could not determine a constructor"),
        (f"seed: {'9' * 5000}", r"is no int"),
        (f"seed: 0x{'f' * 5000}", r"is no int .*too many digits"),
        ("1: 2", r"the key 1 is no text; quote it"),
        ("~: 2", r"the key None is no text"),
        ("? [a, b]\n: 2", r"the key \['a', 'b'\] is no text|unhashable"),
        ("a: [" + "[" * 2000, r"nested more than 32 deep"),
        ("a: &x [*x]", r"an alias leads into what holds it"),
        ("a: &x {b: *x}", r"an alias leads into what holds it"),
        (LAUGHS, r"aliases repeat values more than"),
        ("a: 'x\0y'", r"NUL"),
        ("a: [", r"not valid YAML"),
        ("a: b: c", r"line 1: not valid YAML"),
        ("a: " + "x" * (1 << 20), r"longer than"),
    ],
)
def test_what_a_configuration_cannot_mean_is_one_line(text, message):
    started = time.process_time()
    with pytest.raises(ConfigError, match=message) as raised:
        read_yaml(text, "c.yaml")
    assert str(raised.value).startswith("c.yaml: ")
    assert "\n" not in str(raised.value)
    assert time.process_time() - started < 10  # a bomb takes minutes, or for ever
