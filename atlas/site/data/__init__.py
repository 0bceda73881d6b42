"""What programs read: JSON and its schemas, arrays, search, redirects."""
