from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from geozoo.eo.readers import READERS, find_collection
from geozoo.errors import DataNotFoundError, InputError

if TYPE_CHECKING:
    from pathlib import Path


def test_an_unknown_format_is_refused_with_the_known(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no format 'sen13': choose one of .*sen12ms.*folder"):
        find_collection(tmp_path, "sen13")


def test_a_folder_that_is_not_there_or_not_known_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match="nowhere does not exist"):
        find_collection(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("")
    for path in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(DataNotFoundError, match="looks like no data set that is known"):
            find_collection(path)


@pytest.mark.parametrize("name", READERS)
def test_an_empty_folder_is_no_data_set(tmp_path: Path, name: str) -> None:
    assert READERS[name].name == name
    assert not READERS[name].fits(tmp_path)
    with pytest.raises(DataNotFoundError, match=str(tmp_path)):
        find_collection(tmp_path, name)
