"""Near-duplicates: shingles, MinHash signatures, exact similarity, clusters (a library: no assets)."""
