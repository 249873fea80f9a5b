"""Market data: files of bars, the catalogue of them, and how new ones come in."""
