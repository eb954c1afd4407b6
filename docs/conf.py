"""The site, `make docs`: the pages beside this file, and what docs/site/ makes of package and headers."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "docs/site"), str(ROOT / "packaging")]

import iommu_abi  # noqa: E402

# its names are imported when first used, and autodoc lists what is there
for name in iommu_abi.__all__:
    getattr(iommu_abi, name)

project = "iommu-abi"
author = "The iommu-abi developers"
release = (ROOT / "VERSION").read_text().strip()

extensions = ["myst_parser", "sphinx.ext.autodoc", "commands", "headers", "lineage", "walks"]
source_suffix = {".md": "markdown"}
smartquotes = False  # two hyphens begin an option
nitpicky = True
# what autodoc names and this site does not explain: Python's own types, and those inside the package
nitpick_ignore_regex = [("py:.*", ".*")]
suppress_warnings = ["myst.xref_ambiguous"]

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "undoc-members": True}
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = "iommu-abi"
html_static_path = ["_static"]
html_css_files = ["drawings.css"]
html_copy_source = False
html_show_search_summary = False  # it would fetch pages, which those that are opened as files may not
html_show_sphinx = False
html_show_copyright = False
