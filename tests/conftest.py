"""What a shell, a terminal or a CI says about itself is nothing to the tests: they begin without it."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

#: Of rich and argparse: widths and colours. Of Python: how it writes and warns. Of make: flags of one above.
OF_A_MACHINE = (
    *("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLORTERM"),
    *("TTY_COMPATIBLE", "TTY_INTERACTIVE", "UNICODE_VERSION", "JUPYTER_COLUMNS", "JUPYTER_LINES"),
    *("PYTHONUNBUFFERED", "PYTHONIOENCODING", "PYTHONUTF8", "PYTHONWARNINGS", "PYTHONINSPECT"),
    *("CFLAGS", "CPPFLAGS", "LDFLAGS", "MAKEFLAGS", "MFLAGS"),
)

for name in OF_A_MACHINE:
    os.environ.pop(name, None)
os.environ["TERM"] = "dumb"

# no example has a deadline: what one takes is the load's affair
settings.register_profile("any-load", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-load")
