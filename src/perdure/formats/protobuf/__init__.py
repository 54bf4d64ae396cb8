"""The Durable Task protocol's messages and their pictures of the core's types: the only home of protobuf."""
