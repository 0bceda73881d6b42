"""What an examination of a module found: comparisons, differences, and a refusal."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Report:
    """What was found out of one module; `refusal` is a message for users, in one line, and no failure."""

    failures: list[str] = field(default_factory=list)
    refusal: str = ""
    worst: float = 0.0
    compared: dict[str, int] = field(default_factory=dict)

    def expect(self, kind: str, *, right: bool, detail: str) -> None:
        """Count a comparison, and keep it where it is not right."""
        self.compared[kind] = self.compared.get(kind, 0) + 1
        if not right:
            self.failures.append(f"{kind}: {detail}")


def described(error: Exception) -> str:
    """Return an error as one line, with the place in the code."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {text} ({Path(last.filename).name}:{last.lineno})"
