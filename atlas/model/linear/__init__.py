"""The linear network inside a network: its ops, their transposes, their composition."""
