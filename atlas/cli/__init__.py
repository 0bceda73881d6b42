"""The command line: commands, options, a config file, and checks before work starts.

Other rooms use nothing of it; the program runs `main`.
"""

from __future__ import annotations

from atlas.cli.commands import main

__all__ = ["main"]
