"""The rules of durable execution, pure: no IO, no clock, no JSON, no threads."""
