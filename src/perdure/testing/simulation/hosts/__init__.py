"""Several hosts of one hub on virtual time."""
