"""A GraphDef: its nodes, its table of ops, its parameters."""
