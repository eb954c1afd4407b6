"""Names that are not known: the nearest that are, never a wall of all; and other names of ABIs."""

from __future__ import annotations

from collections.abc import Iterable

from iommu_abi.errors import UsageError

#: So many names are listed, of more the nearest.
MOST_LISTED = 8

#: What distributions, compilers and uname(1) call the ABIs.
ABI_ALIASES = {
    "amd64": "x86_64", "x86-64": "x86_64", "x64": "x86_64",
    "i486": "i386", "i586": "i386", "i686": "i386", "ia32": "i386", "x86": "i386",
    "arm64": "aarch64", "arm64_be": "aarch64_be",
    "armel": "arm", "armhf": "arm", "armv7l": "arm", "armv7b": "armeb",
    "ppc64": "powerpc64", "ppc64el": "powerpc64le", "ppc64le": "powerpc64le", "ppc": "powerpc",
    "s390": "s390x", "n32": "mips64n32", "loong64": "loongarch64",
}  # fmt: skip


def abi_name(given: str) -> str:
    """An ABI's name here; what is no other name of one stays."""
    return ABI_ALIASES.get(given.lower(), given)


def _folded(name: str) -> str:
    return name.lower().replace("-", "_")


def nearest(given: str, known: Iterable[str], most: int = 3) -> list[str]:
    """Known names like the given one: the same in another case, else spelled alike, else with it inside."""
    from difflib import get_close_matches

    names = {_folded(name): name for name in known}
    wanted = _folded(given)
    if wanted in names:
        return [names[wanted]]
    close = (
        get_close_matches(wanted, names, 1, 0.9)
        or get_close_matches(wanted, names, most, 0.66)
        or [name for name in names if wanted in name][:most]
    )
    return [names[name] for name in close]


def meant(given: str, known: Iterable[str]) -> str:
    """The end of a sentence about a name that is not known: the nearest, or all if these are few."""
    names = list(known)
    close = nearest(given, names)
    if close:
        return f", did you mean {' or '.join(filter(None, (', '.join(close[:-1]), close[-1])))}?"
    if 0 < len(names) <= MOST_LISTED:
        return f", expected {'one of: ' if len(names) > 1 else ''}{' '.join(names)}"
    return ""


def unknown(what: str, given: str, known: Iterable[str], where: str = "") -> str:
    """``unknown ABI 'x86_46', did you mean x86_64?`` ``where`` says what lists them all."""
    sentence = f"unknown {what} {given[:60]!r}{meant(given, known)}"
    return f"{sentence} ({where})" if where else sentence


def generations_of(given: str, known: Iterable[str]) -> list[str]:
    """The generations that a name means: one of that name, or all of a kernel, such as ``7.2``."""
    names = list(known)
    if given in names:
        return [given]
    kernel = given.lower().removeprefix("v").replace(".", "_")
    return [name for name in names if name.endswith(f"_{kernel}")] if kernel[:1].isdigit() else []


def generation_name(given: str, known: Iterable[str]) -> str:
    """The one generation that a name means; UsageError if there is none, or several."""
    names = list(known)
    fitting = generations_of(given, names)
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise UsageError(f"{given} is {' or '.join(fitting)}: say which")
    raise UsageError(unknown("generation", given, names, "iommu-abi layout lists all"))
