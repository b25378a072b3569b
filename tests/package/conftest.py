"""The package is built once a worker."""

import pytest

from tests.package.debs import BuiltDeb, build_unpacked


@pytest.fixture(scope="session")
def deb(tmp_path_factory: pytest.TempPathFactory) -> BuiltDeb:
    return build_unpacked(tmp_path_factory.mktemp("deb"), "1.2.3~test")
