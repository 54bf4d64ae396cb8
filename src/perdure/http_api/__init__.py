"""The Durable HTTP management API, health, and the checks before them."""
