"""The gRPC door: the protocol's service for clients and workers of every language."""
