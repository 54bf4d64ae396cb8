"""HTTP/2, the server's side, as far as gRPC needs it."""
