"""Reports of compat as SARIF 2.1.0, which code hosts show beside the lines of a change.

Source: OASIS, Static Analysis Results Interchange Format 2.1.0; sections are named where they decide.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from iommu_abi.compat import Compared, Finding, Report

#: 3.27.10 level, by verdict.
LEVELS = ("note", "warning", "error")


def log(reports: Sequence[tuple[str, Report]], everything: bool) -> dict[str, object]:
    """One run of the tool: what breaks or may, or ``everything``, of each NEW as it was given."""
    from iommu_abi import __version__

    found = [(new, s, f) for new, report in reports for s in report.subjects for f in s.findings]
    rows = [row for row in found if everything or _level(row[2]) != LEVELS[0]]
    changes = sorted({finding.change for _, _, finding in rows})
    driver = {
        "name": "iommu-abi compat",
        "version": __version__,
        "rules": [{"id": _rule(change), "shortDescription": {"text": change}} for change in changes],
    }
    return {
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": [_result(*row) for row in rows]}],
    }


def _rule(change: str) -> str:
    """3.49.3: a stable identifier."""
    return f"abi/{change.replace(' ', '-')}"


def _level(finding: Finding) -> str:
    return LEVELS[max(finding.old_program, finding.new_program)]


def _result(new: str, subject: Compared, finding: Finding) -> dict[str, object]:
    name = f"{subject.name}.{finding.field}" if finding.field else subject.name
    words = [f"{name}: {finding.change}: {finding.reason}"]
    words += [f"old programs on the new kernel: {finding.old_program.name}"]
    words += [f"new programs on the old kernel: {finding.new_program.name}"]
    logical = {"fullyQualifiedName": name, "kind": "type" if subject.kind != "constant" else "variable"}
    place = {**_physical(new, subject), "logicalLocations": [logical]}
    text = "; ".join(words)
    return {
        "ruleId": _rule(finding.change),
        "level": _level(finding),
        "message": {"text": text},
        "locations": [place],
    }


def _physical(new: str, subject: Compared) -> dict[str, object]:
    """The line of a header that defines the subject, the first if that is gone; else nothing."""
    path = Path(new)
    if not path.is_file():
        return {}
    uri = path.resolve().as_uri() if path.is_absolute() else quote(path.as_posix())
    region = {"startLine": _line(path.read_bytes().decode(errors="replace").splitlines(), subject)}
    return {"physicalLocation": {"artifactLocation": {"uri": uri}, "region": region}}


def _line(lines: Iterable[str], subject: Compared) -> int:
    name = re.escape(subject.name)
    defines = rf"\b{name}\b" if subject.kind == "constant" else rf"\b{subject.kind}\s+{name}\b\s*(\{{|$)"
    return next((n for n, line in enumerate(lines, 1) if re.search(defines, line)), 1)
