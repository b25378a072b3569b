"""The daemon's code as it will run on a Pi: the package's files, Debian 13's Python 3.13, pydantic 2.10 and structlog.

Development stands on newer libraries and an older Python; here the tests of ``device`` and ``doorbell`` run once more,
inside a Debian 13, against what the package installs.
"""

import sysconfig
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.package.debian_root import ROOT, DebianRoot, prepared_root
from tests.package.debs import BuiltDeb

pytestmark = [pytest.mark.slow, pytest.mark.system]

TESTS = (
    "python3-hypothesis", "python3-jsonschema", "python3-trustme", "python3-time-machine", "python3-pluggy",
    "python3-iniconfig", "mosquitto", "iproute2", "procps",
)  # fmt: skip
PURE = ("pytest", "_pytest", "pygments", "py.py")
"""Debian 13's pytest is older than the tests want; ours is not compiled, so it can be lent."""
IGNORED = ("tests/doorbell/test_broker.py", "tests/device/test_disks.py", "tests/device/test_renewal_files.py")
"""About the relay's embedded broker, which no Pi has; about file systems, which need devices and not this Python; about
certificates that the relay's authority makes, which needs a newer library than Debian 13 has."""
SKIPPED = "not embedded and not what_lies_in_docs and not the_page_lists"
"""The same broker again; and pages of docs/, which are made on the machine of a developer."""
MARKERS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pytest"]["ini_options"]["markers"]
LINES = "\n  ".join(MARKERS)
INI = f"""\
[pytest]
addopts = --import-mode=importlib --strict-markers -p no:cacheprovider -q
pythonpath = /src
filterwarnings = error
markers =
  {LINES}
"""
SCRIPT = f"""\
set -e
ip link set lo up
ln -s /usr/lib/doorbell-device/* /src
cd /src
export PYTHONPATH=/src PYTHONDONTWRITEBYTECODE=1
exec python3 -m pytest -c /srv/pytest.ini --rootdir=/src -m "not slow" -k "{SKIPPED}" "$@"
"""


@pytest.fixture
def root(deb: BuiltDeb, tmp_path: Path) -> Iterator[DebianRoot]:
    with prepared_root(tmp_path / "root", deb, *TESTS) as root:
        yield root


def test_the_code_passes_its_tests_on_debian_13(root: DebianRoot, deb: BuiltDeb) -> None:
    root.run("apt-get", "install", "-qy", root.put(deb.path))
    packages = Path(sysconfig.get_paths()["purelib"])
    root.inside("/srv/pytest.ini").write_text(INI, encoding="utf-8")
    binds = [f"--bind-ro={packages / name}:/src/{name}" for name in PURE]
    binds += [
        f"--bind-ro={ROOT / name}:/src/{name}" for name in ("tests", "config", "docs", "sim", "relay", "pyproject.toml")
    ]
    ignored = [f"--ignore={path}" for path in IGNORED]
    (script := root.inside("/srv/run.sh")).write_text(SCRIPT, encoding="utf-8")
    told = root.run("sh", f"/srv/{script.name}", *ignored, "tests/device", "tests/doorbell", options=binds)
    assert " passed" in told.splitlines()[-1]
    where = "import device, pydantic, sys; print(device.__file__, pydantic.VERSION, *sys.version_info[:2])"
    code, pydantic, *python = root.run(
        "python3", "-c", f"import sys; sys.path.insert(0, '/usr/lib/doorbell-device'); {where}"
    ).split()
    assert (code, python) == ("/usr/lib/doorbell-device/device/__init__.py", ["3", "13"])
    assert pydantic.startswith("2.10.")
