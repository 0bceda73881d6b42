"""The command line: commands, options, a config file, and what is checked before work starts.

Other rooms use nothing of it; `main` is what the program runs.
"""

from __future__ import annotations

from atlas.cli.commands import main

__all__ = ["main"]
