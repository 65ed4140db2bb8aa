"""How much memory a look at a bucket takes."""

import subprocess
import sys
from pathlib import Path


def look_in_own_process(folder: Path, look: str) -> tuple[str, int]:
    """Evaluate `look`, which knows the folder's `store`, in a process whose peak is that of this look alone; gives its
    words and by how many bytes the peak grew."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from sdg_operator.controller.observe_bucket import look_at_result\n"
        "from sdg_operator.controller.observe_index import look_at_index\n"
        "from sdg_operator.storage.folder import FolderStore\n"
        "from sdg_operator.storage.layout import RunLayout\n"
        "from tests.integration.peak import peak_bytes\n"
        "store, before = FolderStore(Path(sys.argv[1])), peak_bytes()\n"
        f"found = {look}\n"
        "print(found, peak_bytes() - before, sep='|')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    words, _, grown = done.stdout.rpartition("|")
    return words, int(grown)
