import pytest

from esquirell.storage.direct import filled_up


@pytest.mark.parametrize(
    ("count", "length"), [(0, 0), (1, 1), (2, 2), (3, 4), (4, 4), (5, 8), (100, 128), (1000, 1024)]
)
def test_a_list_has_one_of_few_lengths_and_the_same_names(count: int, length: int) -> None:
    names = [f"meter{number}" for number in range(count)]
    filled = filled_up(names)
    assert len(filled) == length
    assert list(dict.fromkeys(filled)) == names
