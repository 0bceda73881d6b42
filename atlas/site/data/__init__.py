"""Files for programs: JSON and its schemas, arrays, search records, redirects."""
