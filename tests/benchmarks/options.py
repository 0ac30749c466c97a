"""What a run of the benchmarks may be told."""

import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """`folder` lies on the disk to measure; `seconds` is how long one load lasts."""

    idle_seconds: float = 600
    rounds: int = 3
    seconds: float = 3
    folder: Path = Path("/var/tmp")

    def temporary(self) -> tempfile.TemporaryDirectory[str]:
        return tempfile.TemporaryDirectory(prefix="k3py-benchmark-", dir=self.folder)
