"""Findings as tests that fail until they are fixed."""

from __future__ import annotations

import re
from collections.abc import Iterable

from iommu_abi.fuzz.campaign.store import Finding
from iommu_abi.fuzz.targets.target import one_line

_HEAD = '''"""Inputs that `iommu-abi fuzz` has found. Each test fails until its cause is fixed."""

from __future__ import annotations

from iommu_abi.fuzz.campaign.worker import outcome
from iommu_abi.fuzz.targets import target_of
'''

_CASE = '''

def test_{name}():
    """{cause}"""
    data = bytes.fromhex(
{data}
    )

    problem = outcome(target_of({words!r}), data, {run_as!r}).problem

    assert problem is None, problem.text
'''


def test_file(found: Iterable[tuple[Finding, bytes]]) -> str:
    """The text of a test file with a case for each finding and its input."""
    cases: dict[str, str] = {}
    for finding, data in found:
        name = plain = re.sub(r"\W+", "_", finding.folder, flags=re.ASCII)
        while name in cases:
            name = f"{plain}_{len(cases)}"
        cases[name] = _case(name, finding, data)
    return _HEAD + "".join(cases.values())


def _case(name: str, finding: Finding, data: bytes) -> str:
    digits = data.hex()
    rows = [f'        "{digits[at : at + 80]}"' for at in range(0, len(digits), 80)] or ['        ""']
    return _CASE.format(
        name=name,
        cause=one_line(finding.cause).replace("\\", "\\\\").replace('"', "'"),
        data="\n".join(rows),
        words=list(finding.target),
        run_as=finding.run_as,
    )
