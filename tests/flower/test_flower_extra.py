import pytest

from esquirell.cli.run import check_installed
from esquirell.domain.errors import ConfigError


def test_without_the_extra_one_sentence_says_how_to_get_it() -> None:
    with pytest.raises(ConfigError) as refused:
        check_installed("a-package-that-nobody-has")
    assert "-m pip install 'flower" in str(refused.value)


def test_with_it_nothing_is_said() -> None:
    check_installed("flower")
