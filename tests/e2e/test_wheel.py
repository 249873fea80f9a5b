"""The package as it is installed: it holds every file, and serves the page of the room."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from aiohttp import ClientSession

from tests.support.program import Program

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with what the wheel puts into ``site-packages``."""
    folder = tmp_path_factory.mktemp("wheel")
    build = ["-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run(
        [sys.executable, *build, "--wheel-dir", str(folder), str(ROOT)], check=True, timeout=100
    )
    (wheel,) = folder.glob("chatops-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def serving(site: Path, folder: Path) -> Program:
    return Program(
        [sys.executable, "-m", "chatops", "serve", "--port", "0"],
        PYTHONPATH=str(site),
        CHATOPS_DATA_DIR=str(folder / "data"),
    )


async def address(server: Program) -> str:
    await server.says("listens on")
    found = re.search(r"http://\S+", server.out[0])
    assert found
    return found[0]


def test_the_wheel_holds_the_program_and_its_files(installed: Path) -> None:
    package = ROOT / "server" / "chatops"
    for path in package.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            assert (installed / "chatops" / path.relative_to(package)).is_file(), path
    assert (installed / "chatops/py.typed").is_file()
    assert list(installed.glob("chatops-*.dist-info/entry_points.txt"))


async def test_what_is_installed_serves_the_room(installed: Path, tmp_path: Path) -> None:
    async with serving(installed, tmp_path) as server, ClientSession() as http:
        url = await address(server)
        async with http.get(f"{url}/?session=desk") as response:
            page = await response.text()
        files = re.findall(r'(?:src|href)="(/assets/[^"]+)"', page)
        assert any(name.endswith(".js") for name in files), "run `make page` first"
        for name in files:
            async with http.get(url + name) as response:
                assert response.status == 200, name
        async with http.get(f"{url}/status") as response:
            assert "open sessions" in await response.text()
    assert len(server.out) == 1


async def test_without_the_built_page_the_server_says_so_in_one_line_and_serves_its_state(
    installed: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    shutil.copytree(installed, site)
    shutil.rmtree(site / "chatops/rest/assets/app")
    async with serving(site, tmp_path) as server, ClientSession() as http:
        url = await address(server)
        await server.says("The page is not built")
        async with http.get(url) as response:
            assert "open sessions" in await response.text()
        async with http.get(f"{url}/readyz") as response:
            assert response.status == 200
    assert len(server.out) == 2
