"""The seams: protocols, the records that cross them, their errors. No bodies."""
