"""The two ways to a task hub: gRPC, and an engine in this process."""
