# The compiled module: cffi gives no types.
from typing import Any

ffi: Any
lib: Any
