"""The names of pipelines, for whoever does not load them."""

from pathlib import Path
from typing import Final

BUILT_IN: Final = ("simple", "full", "llama")
"""Those of instructlab-sdg."""
CUSTOM: Final = "custom"
"""For flow files that the run carries."""
SITE: Final = Path("/usr/share/instructlab/sdg/pipelines")
"""Where images for InstructLab (RHEL AI's, for example) keep pipelines of their own."""
