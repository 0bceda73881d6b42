"""Circuit Atlas from a checkout: `python build.py --help`. A wheel installs the same as `circuit-atlas`."""

from atlas.cli.commands import main

if __name__ == "__main__":
    main()
