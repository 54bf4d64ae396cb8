"""What decided how perdure commits to PostgreSQL (docs/decisions/0016-postgres-commits.md)."""
