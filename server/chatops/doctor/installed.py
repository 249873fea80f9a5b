"""Whether Python and the libraries are those that the distribution asks for."""

import sys
from importlib import metadata

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from chatops.findings import Finding, failed, ok

DISTRIBUTION = "chatops"


def check_python() -> Finding:
    """Compare the running Python with what the distribution requires."""
    running = ".".join(map(str, sys.version_info[:3]))
    wanted = SpecifierSet(metadata.metadata(DISTRIBUTION)["Requires-Python"] or "")
    if not wanted.contains(running, prereleases=True):
        return failed("python", f"{running}, needed is {wanted}", "Install such a Python.")
    return ok("python", f"{running} ({wanted})")


def check_libraries(distribution: str = DISTRIBUTION) -> Finding:
    """Compare what is installed with the distribution's own requirements, extras left out."""
    wanted = [Requirement(line) for line in metadata.requires(distribution) or ()]
    needed = [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    if wrong := [words for one in needed if (words := _wrong(one)) is not None]:
        return failed(
            "libraries",
            "; ".join(wrong),
            "Run pip install -c constraints.txt chatops again (from source: make install).",
        )
    return ok("libraries", f"all {len(needed)} are there, in versions that fit")


def _wrong(wanted: Requirement) -> str | None:
    try:
        found = metadata.version(wanted.name)
    except metadata.PackageNotFoundError:
        return f"{wanted.name} is missing"
    if wanted.specifier.contains(found, prereleases=True):
        return None
    return f"{wanted.name} is {found}, needed is {wanted.specifier}"
