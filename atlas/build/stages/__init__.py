"""How the artefacts of each stage are made: a file for stages that belong together, named as in plan."""
