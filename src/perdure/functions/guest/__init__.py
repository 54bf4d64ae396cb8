"""The official 1.x SDK as a guest of this host (architecture.md §11, 5)."""
