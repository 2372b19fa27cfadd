from icp.plurals import counted, either


def test_one_thing_is_singular():
    assert [counted(n, "document") for n in (0, 1, 2, 12345)] == [
        "0 documents",
        "1 document",
        "2 documents",
        "12,345 documents",
    ]


def test_a_choice_ends_with_or():
    assert [either(names) for names in (("a",), ("a", "b"), ("a", "b", "c"))] == ["a", "a or b", "a, b or c"]
