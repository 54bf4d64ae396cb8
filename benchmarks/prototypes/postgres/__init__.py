"""What decided how perdure commits to PostgreSQL (docs/decisions/0017-postgres-commits.md)."""
