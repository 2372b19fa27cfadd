from icp.plurals import counted


def test_one_thing_is_singular():
    assert [counted(n, "document") for n in (0, 1, 2, 12345)] == [
        "0 documents",
        "1 document",
        "2 documents",
        "12,345 documents",
    ]
