"""Which files a corpus is made of."""

import os

import fsspec
import pytest

from icp.config import CorpusConfig
from icp.errors import ConfigError, InputError
from icp.steps.documents.input_files import InputFile, corpus_files
from icp.steps.documents.stores import file_identity


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}\n")


def paths(*patterns, **values):
    return [file.path for file in corpus_files(CorpusConfig(input=patterns, **values))]


def left_out(*patterns, **values):
    """What is said of files that are not read."""
    told = []
    corpus_files(CorpusConfig(input=patterns, **values), told)
    return told


def test_file_is_described(here):
    put(here, "a.jsonl")
    os.utime(here / "a.jsonl", ns=(5, 7_000_000_001))
    assert corpus_files(CorpusConfig(input=("a.jsonl",))) == [InputFile("a.jsonl", "jsonl", 3, "7000000001")]


def test_patterns_keep_their_order_and_matches_are_sorted(here):
    put(here, "d/b.jsonl", "d/a.jsonl.gz", "d/c.parquet", "z.jsonl.zst", "e.arrow")
    assert paths("z.jsonl.zst", "d/*", "e.arrow") == [
        "z.jsonl.zst", "d/a.jsonl.gz", "d/b.jsonl", "d/c.parquet", "e.arrow",
    ]  # fmt: skip


def test_absolute_names_stay_absolute(here):
    put(here, "a.jsonl")
    assert paths(str(here / "*.jsonl")) == [str(here / "a.jsonl")]


def test_double_star_looks_into_folders(here):
    put(here, "d/x/a.jsonl", "d/b.jsonl")
    assert paths("d/**/*.jsonl") == ["d/b.jsonl", "d/x/a.jsonl"]


def test_home_is_expanded(here, monkeypatch):
    monkeypatch.setenv("HOME", str(here))
    put(here, "a.jsonl")
    assert paths("~/a.jsonl") == [f"{here}/a.jsonl"]


def test_name_that_exists_is_no_glob(here):
    put(here, "a[1].jsonl", "a1.jsonl")
    assert paths("a[1].jsonl") == ["a[1].jsonl"]


def test_folder_of_texts_is_looked_into_sorted_without_hidden_files(here):
    put(here, "t/b.txt", "t/a/z.md", "t/.git/c.txt", "t/.hidden.txt", "t/_SUCCESS", "t/LICENSE")
    assert paths("t") == ["t/a/z.md", "t/b.txt"]


def test_linked_folder_is_looked_into_once(here):
    put(here, "t/a.txt")
    (here / "t/self").symlink_to(here / "t")
    (here / "u").symlink_to(here / "t")
    assert paths("u/") == ["u/a.txt"]


def test_tables_of_a_folder_win_over_its_readme(here):
    put(here, "d/README.md", "d/part-0.parquet/x.parquet", "d/a.parquet")
    assert paths("d") == ["d/a.parquet", "d/part-0.parquet/x.parquet"]
    assert left_out("d") == ["d: 1 file is not read (1 .md), e.g. d/README.md"]


def test_case_of_the_suffix_does_not_matter(here):
    put(here, "A.JSONL.GZ", "B.Txt")
    assert [file.kind for file in corpus_files(CorpusConfig(input=("A*", "B*")))] == ["jsonl", "text"]


def test_nothing_matches_names_the_pattern(here):
    with pytest.raises(InputError, match=r"no file matches nothing/\*\.jsonl \(seen from "):
        paths("nothing/*.jsonl")
    with pytest.raises(InputError, match=r"no file matches gone\.jsonl"):
        paths("gone.jsonl")


def test_folder_without_supported_files_is_refused(here):
    put(here, "d/a.png")
    with pytest.raises(InputError, match=r"d: holds no file that can be read \(1 \.png\); expected \.jsonl"):
        paths("d")


def test_unknown_kind_is_refused(here):
    put(here, "a.pdf")
    with pytest.raises(InputError, match=r"a\.pdf \(matched by a\.pdf\): not a kind of file"):
        paths("a.pdf")


@pytest.mark.parametrize("second", ["*.jsonl", "./a.jsonl", "link.jsonl"])
def test_file_named_twice_is_refused(here, second):
    put(here, "a.jsonl")
    (here / "link.jsonl").symlink_to(here / "a.jsonl")
    with pytest.raises(ConfigError, match=r"is named twice, by a\.jsonl and by "):
        paths("a.jsonl", second)


def test_dangling_link_is_refused(here):
    (here / "a.jsonl").symlink_to(here / "gone")
    with pytest.raises(InputError, match=r"a\.jsonl: cannot be read \(No such file"):
        paths("a.jsonl")


def test_saved_dataset_gives_its_shards_in_its_order(here):
    put(here, "s/data-1.arrow", "s/data-0.arrow", "s/cache-3.arrow", "s/dataset_info.json")
    (here / "s/state.json").write_text('{"_data_files": [{"filename": "data-1.arrow"}, {"filename": "data-0.arrow"}]}')
    assert paths("s") == paths("s/") == ["s/data-1.arrow", "s/data-0.arrow"]
    with pytest.raises(InputError, match=r"holds a saved dataset in .*s; name that folder itself"):
        paths(str(here))
    (here / "s/data-0.arrow").unlink()
    with pytest.raises(InputError, match=r"s/data-0\.arrow: missing"):
        paths("s")
    (here / "s/state.json").write_text("[]")
    with pytest.raises(InputError, match="not a JSON object"):
        paths("s")


def test_dataset_of_splits_is_refused_with_their_names(here):
    put(here, "s/train/data-0.arrow", "s/test/data-0.arrow")
    (here / "s/dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    with pytest.raises(InputError, match=r"s: holds the splits train, test .* e\.g\. s/train"):
        paths("s")


def test_urls_are_matched_on_their_server():
    fs = fsspec.filesystem("memory")
    for name in ("b.jsonl", "a.jsonl", "deep/x.txt", ".hidden/y.txt"):
        fs.pipe_file(f"/corpus-test/{name}", b"{}\n")
    try:
        found = paths("memory://corpus-test/*.jsonl")
        assert [path.replace(":///", "://") for path in found] == [
            "memory://corpus-test/a.jsonl",
            "memory://corpus-test/b.jsonl",
        ]
        file = corpus_files(CorpusConfig(input=("memory://corpus-test/deep",)))[0]
        assert (file.kind, file.size, bool(file.stamp)) == ("text", 3, True)
        with pytest.raises(ConfigError, match="named twice"):
            paths("memory://corpus-test/a.jsonl", "memory:///corpus-test/a.jsonl")
        with pytest.raises(InputError, match="no file matches memory://corpus-test/none"):
            paths("memory://corpus-test/none")
    finally:
        fs.rm("/corpus-test", recursive=True)


def test_unknown_protocol_and_chains_are_refused():
    with pytest.raises(InputError, match="nosuch://x"):
        paths("nosuch://x/a.jsonl")
    with pytest.raises(ConfigError, match="chained URLs"):
        paths("zip://a.jsonl::b.zip")


@pytest.mark.parametrize(("keep", "message"), [(("id",), "a column that icp writes"), (("a", "a"), "named twice")])
def test_kept_names_that_collide_are_refused(here, keep, message):
    put(here, "a.jsonl")
    with pytest.raises(ConfigError, match=rf"corpus\.keep: .* is {message}"):
        paths("a.jsonl", keep=keep)


def test_identity_of_a_file_changes_with_it(here):
    put(here, "ids")
    before = file_identity("ids")
    (here / "ids").write_text("more")
    assert before != file_identity("ids")
    with pytest.raises(InputError, match="gone: cannot be read"):
        file_identity("gone")


def test_nothing_of_a_folder_is_dropped_in_silence(here):
    put(here, "d/a.json.gz", "d/b.ndjson", "d/c.jsonl.bz2", "d/e.csv", "d/README.md", "d/x.bin", "d/y.bin")
    for pattern in ("d", "d/*"):
        with pytest.raises(InputError, match=r"2 of its files would not be read \(.*2 \.bin.*corpus\.ignore"):
            paths(pattern)
        assert paths(pattern, ignore="*.bin") == ["d/a.json.gz", "d/b.ndjson", "d/c.jsonl.bz2", "d/e.csv"]


def test_double_star_names_each_file_once(here):
    put(here, "d/a.jsonl", "d/en/b.jsonl")
    assert paths("d/**") == ["d/a.jsonl", "d/en/b.jsonl"]


def test_source_code_is_read_where_it_is_included(here):
    put(here, "d/a.py", "d/x/b.py", "d/c.o")
    assert [(f.path, f.kind) for f in corpus_files(CorpusConfig(input="d", include="*.py"))] == [
        ("d/a.py", "text"),
        ("d/x/b.py", "text"),
    ]


def test_pipe_is_refused(here):
    os.mkfifo(here / "p.jsonl")
    with pytest.raises(InputError, match="a pipe or a device"):
        paths("p.jsonl")


def test_names_with_an_underscore_are_left_out_and_counted(here):
    put(here, "d/a.jsonl", "d/_SUCCESS", "d/_temporary/0/b.jsonl", "d/.cache/c.jsonl")
    assert paths("d") == ["d/a.jsonl"]
    assert left_out("d") == ["d: 3 files are not read (2 .jsonl, 1 without a suffix), e.g. d/.cache/c.jsonl"]
    assert paths("d/*") == ["d/a.jsonl"]
    assert "d/*: 2 files are not read" in left_out("d/*")[0]
    assert paths("d/_temporary/*/*.jsonl") == ["d/_temporary/0/b.jsonl"]


def test_a_table_beside_many_texts_is_refused(here):
    put(here, "d/a.md", "d/b.md", "d/c.md", "d/settings.json")
    with pytest.raises(InputError, match=r"d: 3 of its files would not be read \(3 \.md\), .*; 1 would \(1 \.json\)"):
        paths("d")
    assert paths("d", ignore=("*.json",)) == ["d/a.md", "d/b.md", "d/c.md"]
    assert paths("d", include=("*.md",)) == ["d/a.md", "d/b.md", "d/c.md"]
    assert "d: 1 file is not read (1 .json)" in left_out("d", include=("*.md",))[0]
    put(here, "e/a.jsonl", "e/README.md", "e/notes.md")
    assert paths("e") == ["e/a.jsonl"]


def test_glob_of_unknown_kinds_says_what_it_matches(here):
    put(here, "d/a.c", "d/b.c")
    with pytest.raises(InputError, match=r"d/\* matches 2 files, none of a kind that is read \(2 \.c\)"):
        paths("d/*")


def test_saved_dataset_without_rows_is_told_and_stops_nothing(here):
    put(here, "d/a.jsonl")
    (here / "e").mkdir()
    (here / "e/state.json").write_text('{"_data_files": []}')
    assert paths("d", "e") == ["d/a.jsonl"]
    assert left_out("d", "e") == ["e: holds a saved dataset without rows"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.warc.wet.gz", "warc"), ("a.WARC", "warc"), ("a.tar.zst", "tar"), ("a.tgz", "tar"), ("a.txz", "tar"),
        ("a.txt.gz", "text"), ("a.jsonl.zstd", "jsonl"), ("a.csv.gzip", "csv"), ("a.pq", "parquet"),
        ("df.parquet.gzip", "parquet"), ("a.feather", "arrow"), ("a.arrows", "arrow"),
    ],
)  # fmt: skip
def test_kinds_go_by_the_end_of_a_name(here, name, kind):
    put(here, name)
    assert [file.kind for file in corpus_files(CorpusConfig(input=(name,)))] == [kind]


def test_link_to_a_file_of_the_same_folder_is_told_and_not_read_twice(here):
    put(here, "blobs/abc", "s/one/a.jsonl")
    for revision in ("two", "three"):
        (here / "s" / revision).mkdir()
        (here / "s" / revision / "b.jsonl").symlink_to(here / "blobs/abc")
    assert paths("s") == ["s/one/a.jsonl", "s/three/b.jsonl"]
    assert left_out("s") == ["s: 1 link to a file that is read already, e.g. s/two/b.jsonl"]


def test_dangling_link_in_a_folder_is_named(here):
    put(here, "d/a.jsonl")
    (here / "d/b.jsonl").symlink_to(here / "gone")
    with pytest.raises(InputError, match=r"^d/b\.jsonl: cannot be read \(No such file"):
        paths("d")


@pytest.mark.parametrize("pattern", ["old", "old/", "old/*", "d/old/*", "*.bin", "d/old"])
def test_files_to_ignore_are_named_by_folder_path_or_name(here, pattern):
    put(here, "d/a.jsonl", "d/old/x.bin", "d/old/deep/y.bin")
    assert paths("d", ignore=(pattern,)) == ["d/a.jsonl"]
    assert paths("d", include=("old",)) == ["d/old/deep/y.bin", "d/old/x.bin"]


def test_table_named_like_a_side_file_is_data(here):
    put(here, "d/license_texts.jsonl", "d/changelogs.parquet", "d/a.jsonl", "d/LICENSE", "d/readme.txt")
    assert paths("d") == ["d/a.jsonl", "d/changelogs.parquet", "d/license_texts.jsonl"]


def test_many_suffixes_are_not_all_listed(here):
    put(here, "d/a.jsonl", *(f"d/part-{n}.x{n}" for n in range(40)), "d/part-00000", "d/part-00001")
    with pytest.raises(
        InputError, match=r"42 of its files .*\(2 without a suffix, (1 \.x\d+, ){7}33 of other suffixes\)"
    ):
        paths("d")
