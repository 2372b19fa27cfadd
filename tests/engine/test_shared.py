from icp.engine.shared import begin, shared


def test_tasks_of_a_phase_share_and_those_of_another_make_it_anew():
    made = []

    @shared
    def costly(name):
        made.append(name)
        return [name]

    begin("encode")
    first = costly("a")
    begin("encode")
    assert costly("a") is first
    begin("facts")
    begin("encode")
    assert costly("a") is not first
    assert costly("b") == ["b"]
    assert costly("a") == ["a"], "only the last one is kept"
    assert made == ["a", "a", "b", "a"]
