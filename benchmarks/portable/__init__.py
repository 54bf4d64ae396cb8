"""What runs through gRPC: the processes of servers and workers, and the client that asks them."""
