"""Many calls at once: none is lost, whatever becomes of the others."""

import pytest

from k3py.api import errors
from k3py.controllers import parallel


def test_every_item_is_called_and_refusals_are_told():
    done = []

    def call(item):
        if item % 10 == 0:
            raise errors.Forbidden(f"not {item}")
        done.append(item)

    refusals = parallel.each(range(100), call)
    assert sorted(map(str, refusals)) == [f"not {n}" for n in range(0, 100, 10)]
    assert len(done) == 90


def test_a_fault_was_taken_for_success():
    done = []

    def call(item):
        done.append(item)
        if item == 3:
            raise KeyError("spec")

    with pytest.raises(KeyError):
        parallel.each(range(50), call)
    assert len(done) == 50


def test_after_a_refusal_no_more_are_asked():
    asked = []

    def call(item):
        asked.append(item)
        raise errors.Forbidden("quota")

    done, refusal = parallel.slowly(range(1000), call)
    assert (done, str(refusal), len(asked)) == (0, "quota", 1)
