"""An ordered log of keys and bytes in one SQLite file; knows nothing of what the bytes mean."""
