from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.chips import make_chips

if TYPE_CHECKING:
    from geozoo.eo.chips import Chips


@pytest.fixture(scope="session")
def chips(tmp_path_factory: pytest.TempPathFactory) -> Chips:
    """24 chips of 16 pixels from twelve scenes and three classes."""
    return make_chips(tmp_path_factory.mktemp("little"))
